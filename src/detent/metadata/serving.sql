-- Which processes answer with what: facts about the living, worth nothing after a restart of the
-- machine. SQLite keeps this table in a file of its own whose commits wait for no disk;
-- PostgreSQL beside the others. Same dialect, units and types as schema.sql.

CREATE TABLE IF NOT EXISTS server (
    id              TEXT   NOT NULL,    -- of one process
    model           TEXT   NOT NULL,
    alias           TEXT   NOT NULL,
    host            TEXT   NOT NULL,
    pid             INTEGER NOT NULL,
    place           TEXT   NOT NULL,    -- machine and space of process numbers
    version         INTEGER,             -- what it answers with
    entry           INTEGER NOT NULL,    -- the newest activation that it has acknowledged
    heard_at        INTEGER NOT NULL,    -- by one clock for all: the machine's, or PostgreSQL's
    lease_until     INTEGER NOT NULL,
    problem         TEXT,               -- why it does not follow problem_entry
    problem_entry   INTEGER NOT NULL,
    is_strict       INTEGER NOT NULL,    -- 1: answers nothing once its lease has ended
    PRIMARY KEY (id, model, alias)
);
