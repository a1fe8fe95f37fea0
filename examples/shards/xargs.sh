#!/bin/sh
# Evaluates in parts on this machine, some at a time, and merges them. Settings: README.md.
set -eu
: "${MODEL:=model.ivit}" "${DATASET:=val}" "${PARTS:=parts}" "${SHARDS:=16}" "${JOBS:=2}" "${IVIT:=npx ivit}"
mkdir -p "$PARTS"
export MODEL DATASET PARTS SHARDS IVIT
# One thread each: the parts run side by side.
seq "$SHARDS" | xargs -P "$JOBS" -I{} sh -c \
  '$IVIT eval -m "$MODEL" --dataset "$DATASET" --threads 1 --resume --shard {}/"$SHARDS" --out "$PARTS"/{}.jsonl >/dev/null'
$IVIT merge "$PARTS" "$@"
