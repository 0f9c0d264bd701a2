# primus-hook: when=after once timeout=30
# Runs where hooks.use=[summary] asks for it: it has no number.
echo "$PRIMUS_TASK: $PRIMUS_STATUS, exit code $PRIMUS_EXIT_CODE"
