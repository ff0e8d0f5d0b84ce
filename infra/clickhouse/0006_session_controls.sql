-- What clients ask of running sessions stands among the lifecycle signals.
ALTER TABLE sessions
    COMMENT COLUMN kind 'started, ended, or what the client asked for meanwhile: reset_calibration.',
    COMMENT COLUMN captured_at 'When it started or ended, or from when on what was asked for holds, on the ingest edge\'s clock.',
    COMMENT COLUMN au_neutral 'started: neutral intensity of each AU of the person as given, order of schemas.vocabulary.AUS; empty: learned, if calibration_seconds says so.',
    COMMENT COLUMN au_gain 'started: gain of each AU of the person as given; empty: learned likewise.';
ALTER TABLE sessions MODIFY COMMENT 'Lifecycle signals: one row a SessionStarted, a SessionControl and a SessionEnded.';
ALTER TABLE ledger
    COMMENT COLUMN first_sequence 'Sequence of the run\'s first item, -1 if it had none. Fusion: the tick at which the count was taken; of a single record, its own.';
