#!/bin/sh
#SBATCH --job-name=ivit-eval
#SBATCH --array=1-16
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --time=01:00:00
#SBATCH --requeue
# Evaluates one part in each task of an array: sbatch slurm.sh, and when all have ended: ivit merge parts
# Settings: README.md. The number of parts stands here and not in SLURM_ARRAY_TASK_COUNT, so that some tasks can be run
# again alone: sbatch --array=3,7 slurm.sh
set -eu
: "${MODEL:=model.ivit}" "${DATASET:=val}" "${PARTS:=parts}" "${SHARDS:=16}" "${IVIT:=npx ivit}"
mkdir -p "$PARTS"
exec $IVIT eval -m "$MODEL" --dataset "$DATASET" --threads "${SLURM_CPUS_PER_TASK:-1}" --resume \
  --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" --out "$PARTS/$SLURM_ARRAY_TASK_ID.jsonl"
