-- The schema of a registry, version 1. Plain SQL in the dialect that SQLite and PostgreSQL share;
-- INTEGER stands for 64 bits (PostgreSQL calls that BIGINT).
-- Times (…_at) are microseconds since 1970-01-01 UTC, so that they sort and compare as numbers.
-- Texts named …_json are canonical JSON. Rows of activation, decision, policy, evaluation and
-- journal are added, never changed.

CREATE TABLE registry (                 -- one row
    schema_version  INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    journal_seq     INTEGER NOT NULL,    -- the newest event: kept beside the journal, so that
    journal_digest  TEXT   NOT NULL     -- cutting off its end is seen
);

CREATE TABLE model (
    name            TEXT   NOT NULL PRIMARY KEY,
    last_number     INTEGER NOT NULL,    -- counts up for ever: a number is given once
    created_at      INTEGER NOT NULL,
    created_by      TEXT   NOT NULL
);

CREATE TABLE version (
    model           TEXT   NOT NULL REFERENCES model (name),
    number          INTEGER NOT NULL,
    digest          TEXT   NOT NULL,    -- of the manifest, which is a blob
    format          TEXT   NOT NULL,
    size_bytes      INTEGER NOT NULL,    -- all files together
    created_at      INTEGER NOT NULL,
    created_by      TEXT   NOT NULL,
    duration_s      DOUBLE PRECISION,   -- of the training, where it was recorded
    code            TEXT,               -- short commit, `+` when the tree had changes
    data            TEXT,               -- names of the data that went in
    note            TEXT,
    withdrawn       TEXT,               -- the reason; never activated again
    deleted_at      INTEGER,             -- the number stays taken
    PRIMARY KEY (model, number)
);
CREATE UNIQUE INDEX version_digest ON version (model, digest) WHERE deleted_at IS NULL;
CREATE INDEX version_manifest ON version (digest);

CREATE TABLE version_word (             -- the words of note, format, code, data and creator
    model           TEXT   NOT NULL,
    word            TEXT   NOT NULL,
    number          INTEGER NOT NULL,
    PRIMARY KEY (model, word, number)
);
CREATE INDEX version_word_number ON version_word (model, number);

CREATE TABLE alias (
    model           TEXT   NOT NULL REFERENCES model (name),
    name            TEXT   NOT NULL,
    held_at         INTEGER,             -- NULL when not on hold
    held_by         TEXT,
    held_reason     TEXT,
    PRIMARY KEY (model, name)
);

CREATE TABLE activation (
    entry           INTEGER PRIMARY KEY,
    model           TEXT   NOT NULL,
    alias           TEXT   NOT NULL,
    kind            TEXT   NOT NULL,    -- activate, rollback, deactivate
    version         INTEGER,             -- NULL after a deactivation
    previous        INTEGER,             -- the version active before
    below           INTEGER,             -- the entry that a rollback uncovers
    created_at      INTEGER NOT NULL,
    created_by      TEXT   NOT NULL,
    reason          TEXT,
    decision        INTEGER,
    override        INTEGER NOT NULL,    -- 1 when a person went past the gate
    FOREIGN KEY (model, alias) REFERENCES alias (model, name)
);
CREATE INDEX activation_newest ON activation (model, alias, entry);
CREATE INDEX activation_left ON activation (model, alias, previous, entry)
    WHERE kind = 'rollback';

CREATE TABLE activation_note (          -- what was said about an activation afterwards
    id              INTEGER PRIMARY KEY,
    entry           INTEGER NOT NULL REFERENCES activation (entry),
    note            TEXT   NOT NULL
);
CREATE INDEX activation_note_entry ON activation_note (entry, id);

CREATE TABLE evaluation (
    id              INTEGER PRIMARY KEY,
    model           TEXT   NOT NULL,
    version         INTEGER NOT NULL,
    dataset         TEXT   NOT NULL,    -- the name given
    dataset_digest  TEXT   NOT NULL,    -- of the rows with their true values
    n_rows          INTEGER NOT NULL,
    metrics_json    TEXT   NOT NULL,
    outcomes        TEXT   NOT NULL,    -- the blob of what was answered, row by row
    inputs          TEXT,               -- the blob of what the rows were like
    one_row_s       DOUBLE PRECISION,
    computed_on     TEXT,               -- what asked the version, when not the process itself
    created_at      INTEGER NOT NULL,
    created_by      TEXT   NOT NULL,
    FOREIGN KEY (model, version) REFERENCES version (model, number)
);
CREATE INDEX evaluation_newest ON evaluation (model, id);
CREATE INDEX evaluation_version ON evaluation (model, version, id);
CREATE INDEX evaluation_dataset ON evaluation (model, dataset_digest, id);

CREATE TABLE policy (
    id              INTEGER PRIMARY KEY,
    model           TEXT   NOT NULL,
    alias           TEXT   NOT NULL,
    rules_json      TEXT   NOT NULL,
    reason_required INTEGER NOT NULL,
    approvals       INTEGER NOT NULL,    -- people, beside the one who activates
    digest          TEXT   NOT NULL,
    created_at      INTEGER NOT NULL,
    created_by      TEXT   NOT NULL
);
CREATE INDEX policy_newest ON policy (model, alias, id);

CREATE TABLE approval (                 -- who is for activating a version on an alias
    id              INTEGER PRIMARY KEY,
    model           TEXT   NOT NULL,
    alias           TEXT   NOT NULL,
    version         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    created_by      TEXT   NOT NULL,
    reason          TEXT,
    FOREIGN KEY (model, version) REFERENCES version (model, number)
);
CREATE INDEX approval_version ON approval (model, alias, version, id);

CREATE TABLE decision (
    id              INTEGER PRIMARY KEY,
    model           TEXT   NOT NULL,
    alias           TEXT   NOT NULL,
    candidate       INTEGER NOT NULL,
    baseline        INTEGER,
    outcome         TEXT   NOT NULL,    -- pass, fail, inconclusive
    is_refusal      INTEGER NOT NULL,    -- 1 when nothing was activated because of it
    results_json    TEXT   NOT NULL,
    policy_digest   TEXT,
    override        TEXT,
    created_at      INTEGER NOT NULL,
    created_by      TEXT   NOT NULL
);
CREATE INDEX decision_alias ON decision (model, alias, id);

CREATE TABLE rollout (                  -- a version on its way into an alias
    id              INTEGER PRIMARY KEY,
    model           TEXT   NOT NULL,
    alias           TEXT   NOT NULL,
    candidate       INTEGER NOT NULL,
    baseline        INTEGER NOT NULL,    -- the version that was active when it began
    entry           INTEGER NOT NULL,    -- the activation that it stands on
    plan_json       TEXT   NOT NULL,
    status          TEXT   NOT NULL,    -- running, paused, completed, rolled_back, stopped
    phase           TEXT   NOT NULL,    -- shadow, canary, full
    step            INTEGER NOT NULL,    -- of the canary, from 0
    created_at      INTEGER NOT NULL,
    created_by      TEXT   NOT NULL,
    phase_at        INTEGER NOT NULL,    -- when phase, step or status changed
    ended_at        INTEGER,
    why             TEXT,
    decision        INTEGER
);
CREATE UNIQUE INDEX rollout_running ON rollout (model, alias) WHERE ended_at IS NULL;
CREATE INDEX rollout_alias ON rollout (model, alias, id);

CREATE TABLE rollout_progress (         -- of one that goes on; the journal does not tell of it
    rollout         INTEGER NOT NULL PRIMARY KEY REFERENCES rollout (id),
    revision        INTEGER NOT NULL,    -- counts every write: who writes names the one it read
    driver          TEXT,               -- the process that acts now
    driven_until    INTEGER NOT NULL,
    state_json      TEXT   NOT NULL     -- what was counted, and what it says
);

CREATE TABLE rollout_tally (            -- what one machine has counted of it, where each keeps its own
    rollout         INTEGER NOT NULL REFERENCES rollout (id),
    place           TEXT   NOT NULL,    -- the store of predictions that was counted
    revision        INTEGER NOT NULL,    -- counts every write: who writes names the one it read
    teller          TEXT   NOT NULL,    -- the process of that machine that counts now
    told_until      INTEGER NOT NULL,
    state_json      TEXT   NOT NULL,
    PRIMARY KEY (rollout, place)
);

CREATE TABLE waiting_label (            -- of an answer that another machine has made
    model           TEXT   NOT NULL,
    request_id      TEXT   NOT NULL,
    row             INTEGER NOT NULL,
    label_json      TEXT   NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (model, request_id, row)
);
CREATE INDEX waiting_label_age ON waiting_label (model, created_at);

CREATE TABLE journal (
    seq             INTEGER PRIMARY KEY,
    created_at      INTEGER NOT NULL,
    actor           TEXT   NOT NULL,
    type            TEXT   NOT NULL,
    body_json       TEXT   NOT NULL,
    previous        TEXT   NOT NULL,    -- digest of the event before
    digest          TEXT   NOT NULL
);

CREATE TABLE token (                    -- who may ask a server; the secret itself is kept nowhere
    id              INTEGER PRIMARY KEY,
    name            TEXT   NOT NULL,    -- the actor, in the journal
    role            TEXT   NOT NULL,    -- reader, contributor, maintainer, admin
    models_json     TEXT   NOT NULL,    -- the models it may change; [] for all of them
    digest          TEXT   NOT NULL,    -- of the secret: 256 random bits, so that none can be guessed
    created_at      INTEGER NOT NULL,
    created_by      TEXT   NOT NULL,
    revoked_at      INTEGER
);
CREATE UNIQUE INDEX token_digest ON token (digest);

CREATE TABLE answered (                 -- what a server answered to requests that carry a key
    actor           TEXT   NOT NULL,
    request_key     TEXT   NOT NULL,
    request_digest  TEXT   NOT NULL,    -- a key may not be used again for something else
    status          INTEGER NOT NULL,
    body            TEXT   NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (actor, request_key)
);
CREATE INDEX answered_age ON answered (created_at);

CREATE TABLE webhook (                  -- an address that is told of events, in their order
    id              INTEGER PRIMARY KEY,
    url             TEXT   NOT NULL,
    types_json      TEXT   NOT NULL,    -- types of events, or beginnings of them that end in *
    models_json     TEXT   NOT NULL,    -- the models it is told of; [] for all of them
    secret          TEXT   NOT NULL,    -- signs what it is told, so that it has to be kept
    told            INTEGER NOT NULL,    -- the newest event of the journal that is dealt with
    failures        INTEGER NOT NULL,    -- in a row, at the event behind `told`
    next_at         INTEGER,             -- not told before: after a failure, or while it is told
    created_at      INTEGER NOT NULL,
    created_by      TEXT   NOT NULL,
    deleted_at      INTEGER              -- the number stays taken
);

CREATE TABLE delivery (                 -- how the newest tries to tell a webhook went
    id              INTEGER PRIMARY KEY,
    webhook         INTEGER NOT NULL REFERENCES webhook (id),
    seq             INTEGER NOT NULL,    -- of the event; 0 for a test
    type            TEXT   NOT NULL,
    attempt         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    seconds         DOUBLE PRECISION NOT NULL,
    status          INTEGER,             -- what the receiver answered
    problem         TEXT                 -- NULL when it was told
);
CREATE INDEX delivery_webhook ON delivery (webhook, id);
