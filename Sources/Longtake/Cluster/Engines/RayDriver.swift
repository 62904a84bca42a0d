/// The program that starts the workers on a Ray cluster.
enum RayDriver {
    /// Its text, Python 3.9 or later with Ray 2.
    static let text = #"""
        """Starts the workers of one run on a Ray cluster: a task for each shard, those that ask after those that index."""

        import json
        import os
        import shutil
        import signal
        import subprocess
        import sys
        import time

        import ray

        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "ray_job.json")) as file:
            JOB = json.load(file)
        TRY_AGAIN = 75
        # Seconds without a machine that could run a task, after which the job ends.
        STALL = float(os.environ.get("LONGTAKE_RAY_STALL", "600"))


        class TryAgain(Exception):
            """A worker that could not go on: another attempt may, here or elsewhere."""


        # A worker does not outlive the task. Not preexec_fn: in a process with Ray's threads it can hang.
        SETPRIV = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []


        @ray.remote(max_retries=JOB["retries"], retry_exceptions=[TryAgain], scheduling_strategy="SPREAD")
        def work(run, command, shard, seconds):
            """Runs one worker in a process group of its own; returns its exit status."""
            with open(f"{run}/logs/ray-{shard}.out", "ab") as log:
                child = subprocess.Popen(
                    SETPRIV + command + [str(shard)], stdout=log, stderr=log, start_new_session=True)
            try:
                status = child.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                status = TRY_AGAIN
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGTERM)
                    try:
                        child.wait(timeout=60)
                    except subprocess.TimeoutExpired:
                        os.killpg(child.pid, signal.SIGKILL)
            if (status == TRY_AGAIN or status < 0) and not os.path.exists(f"{run}/canceled"):
                raise TryAgain(f"shard {shard}: status {status}")
            return status


        def run_stage(shards, seconds):
            """Runs all shards of a stage; returns how many did not end well."""
            options = {"num_cpus": JOB["cpus"]}
            if JOB.get("memory"):
                options["memory"] = JOB["memory"]
            waiting, tasks, failed, seen = list(shards), {}, 0, time.monotonic()
            while waiting or tasks:
                while waiting and len(tasks) < (JOB.get("jobs") or len(shards)):
                    shard = waiting.pop(0)
                    tasks[work.options(**options).remote(JOB["run"], JOB["worker"], shard, seconds)] = shard
                done, _ = ray.wait(list(tasks), timeout=5)
                for task in done:
                    shard = tasks.pop(task)
                    try:
                        status = ray.get(task)
                    except ray.exceptions.RayError as error:
                        status = str(error).strip().splitlines()[-1]
                    print(f"shard {shard}: {'done' if status == 0 else status}", flush=True)
                    failed += status != 0
                if done or ray.cluster_resources().get("CPU", 0) >= JOB["cpus"]:
                    seen = time.monotonic()
                elif time.monotonic() - seen > STALL:
                    sys.exit(f"no machine with {JOB['cpus']} CPUs for {STALL:.0f} s")
            return failed


        ray.init()
        failures = sum([run_stage(shards, limit) for shards, limit in zip(JOB["stages"], JOB["seconds"])])
        if JOB.get("collect") and not failures:
            failures += subprocess.call(JOB["collect"]) not in (0, 3)
        sys.exit(f"{failures} shards did not end well" if failures else 0)

        """#
}
