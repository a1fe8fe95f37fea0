#!/bin/sh
# Evaluates in parts with GNU parallel, and merges them. Settings: README.md.
set -eu
: "${MODEL:=model.ivit}" "${DATASET:=val}" "${PARTS:=parts}" "${SHARDS:=16}" "${JOBS:=2}" "${IVIT:=npx ivit}"
mkdir -p "$PARTS"
seq "$SHARDS" | parallel --jobs "$JOBS" --halt soon,fail=1 \
  "$IVIT eval -m '$MODEL' --dataset '$DATASET' --threads 1 --resume --shard {}/$SHARDS --out '$PARTS'/{}.jsonl >/dev/null"
$IVIT merge "$PARTS" "$@"
