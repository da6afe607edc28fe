"""The only folder that imports Ray and Optuna."""

import os

# before Ray is imported: its own console output and result files are off, ours are the record
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # a trial without a GPU sees none
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")  # they are in the event log
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # Ctrl-C is handled by whoever runs the search
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "1e9")  # snapshots: nothing is ever restored from them
# with a searcher Tune starts one worker after another, seconds each; how many may wait is ours to say (Slots.room)
os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "1000")
