-- What versions answered while a rollout ran, and the true answers that came later. In a file of its
-- own beside the registry's (`predictions.db`, SQLite): it may be removed, and loses what is too old
-- or too much. Times are microseconds since 1970-01-01 UTC. Answers, labels: JSON texts.

CREATE TABLE IF NOT EXISTS store (      -- one row: a name of its own, beside those of other machines
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    place           TEXT   NOT NULL
);

CREATE TABLE IF NOT EXISTS request (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of writing
    request_id      TEXT   NOT NULL,    -- as its answer names it; clients may repeat theirs
    rollout         INTEGER NOT NULL,
    model           TEXT   NOT NULL,
    alias           TEXT   NOT NULL,
    version         INTEGER NOT NULL,    -- that answered
    role            TEXT   NOT NULL,    -- active, canary
    at              INTEGER NOT NULL,
    seconds         REAL   NOT NULL,
    error           TEXT,
    key             INTEGER,             -- of whom it came from, hashed; NULL when of nobody known
    is_first        INTEGER NOT NULL,    -- 0 when the same key was seen before in this rollout
    weight          REAL,               -- the canary's share when it was answered by lot
    shadow_version  INTEGER,             -- that answered the same, unseen
    shadow_seconds  REAL,
    shadow_error    TEXT,
    cells           BLOB                 -- where its first row lies, a byte for each input
);
CREATE INDEX IF NOT EXISTS request_name ON request (model, request_id, id);
CREATE INDEX IF NOT EXISTS request_rollout ON request (rollout, id);
CREATE INDEX IF NOT EXISTS request_key ON request (rollout, key) WHERE key IS NOT NULL;

CREATE TABLE IF NOT EXISTS prediction (
    request         INTEGER NOT NULL REFERENCES request (id) ON DELETE CASCADE,
    row             INTEGER NOT NULL,    -- of the request, from 0
    answer          TEXT,
    score           REAL,
    shadow_answer   TEXT,
    shadow_score    REAL,
    label           TEXT,
    labelled_at     INTEGER,
    label_number    INTEGER,             -- counts the labels as they come
    PRIMARY KEY (request, row)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS prediction_label ON prediction (label_number)
    WHERE label_number IS NOT NULL;
