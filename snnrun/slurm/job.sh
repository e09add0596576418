trap : TERM USR2 CONT  # the runs get them too, and bash waits for their checkpoints
(
  {setup}
  exec srun --mpi=none --kill-on-bad-exit=0 --wait=0 --unbuffered --open-mode=append \
    --output={logs}/%A_%a_%t.log {task}
)
code=$?
case $code in
  {time_is_up})
    if [ "${{SLURM_RESTART_COUNT:-0}}" -lt {max_num_timeout} ]; then
      scontrol requeue "$SLURM_JOB_ID"  # which ends this script
      sleep 60
    fi ;;
  0 | 2 | 124 | 129 | 130 | 138 | 143) ;;  # finished, refused, or stopped
  *)
    tried="${{SNNRUN_TRIED:+$SNNRUN_TRIED,}}$SLURMD_NODENAME"
    if [ $SECONDS -lt {quick_s} ] && [ "$(tr , '\n' <<<"$tried" | wc -l)" -lt {max_nodes} ]; then
      echo "exit code $code after $SECONDS s on $SLURMD_NODENAME: next on another node"
      export SNNRUN_TRIED="$tried"
      sbatch --parsable --array="$SLURM_ARRAY_TASK_ID" --exclude="$tried{exclude}" \
        {script} >>{ids}
    fi ;;
esac
exit $code
