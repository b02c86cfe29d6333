#!/usr/bin/env bash
# An array job: every task draws its part of the pictures. Submit with: sbatch docs/jobs/slurm.sh STUDY /shared/RUN
#SBATCH --job-name=pentimento
#SBATCH --array=1-16
#SBATCH --cpus-per-task=8
#SBATCH --mem=12G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --output=%x-%a.log
set -euo pipefail

study=${1:?the study folder}
run=${2:?a folder that all tasks can write to}

# A requeued task goes on where it stopped.
export PENTIMENTO_CACHE="${TMPDIR:-/tmp}/pentimento-cache"
exec pentimento scan "$study" --seeds 0..20 \
  --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
  --threads "$SLURM_CPUS_PER_TASK" --quiet --out "$run"
