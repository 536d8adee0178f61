#!/usr/bin/env python3
"""The demo's main job: workers of one run, of which one is killed in the middle of a unit.

usage: demo_workers.py --run FOLDER --workers N --kill ID -- PROGRAM extract ...

Starts the command once for each worker, with --worker-id and --num-workers added; their output goes
to FOLDER/logs. Kills one worker with SIGKILL once it has committed two units and holds another,
never restarts it, waits for the others, and writes what happened to FOLDER/logs/demo.json.
Ends all of them if it is interrupted itself. Needs only the standard library.
"""

import argparse
import json
import pathlib
import re
import signal
import subprocess
import sys
import time

COMMITS_BEFORE_KILL = 2
POLL_SECONDS = 0.1
LINE_SECONDS = 5.0  # between progress lines in a log; on a terminal one line is rewritten


class RunState:
    """Who claimed and who committed what, from the run's records in its folder."""

    def __init__(self, folder):
        self.folder = folder
        self.commits = {}  # unit -> worker
        self.claims = {}  # (unit, epoch) -> worker

    def refresh(self):
        for path in (self.folder / "commits").glob("unit-*.json"):
            unit = int(path.stem.removeprefix("unit-"))
            if unit not in self.commits:
                self.commits[unit] = json.loads(path.read_text())["worker"]
        for path in (self.folder / "leases").glob("unit-*/e*"):
            match = re.fullmatch(r"e(\d+)", path.name)
            key = match and (int(path.parent.name.removeprefix("unit-")), int(match[1]))
            if key and key not in self.claims:
                self.claims[key] = json.loads(path.read_text())["worker"]

    def committed_by(self, worker):
        return sorted(unit for unit, by in self.commits.items() if by == worker)

    def held_by(self, worker):
        """Units that the worker claimed last and nobody has committed."""
        newest = {}
        for (unit, epoch), by in sorted(self.claims.items()):
            newest[unit] = by
        return sorted(u for u, by in newest.items() if by == worker and u not in self.commits)

    def unit_count(self):
        for path in (self.folder / "plan").glob("*.json"):
            return len(json.loads(path.read_text())["boundaries"]) - 1
        return None


class Display:
    """Progress: one line that is rewritten on a terminal, else a line now and then."""

    def __init__(self):
        self.on_terminal = sys.stdout.isatty()
        self.shown_at = 0.0
        self.is_open = False

    def progress(self, text):
        now = time.monotonic()
        if now - self.shown_at < (0.2 if self.on_terminal else LINE_SECONDS):
            return
        self.shown_at = now
        if self.on_terminal:
            print(f"\r\x1b[K   {text}", end="", flush=True)
            self.is_open = True
        else:
            print(f"   {text}", flush=True)

    def event(self, text):
        if self.is_open:
            print("\r\x1b[K", end="")
            self.is_open = False
        print(f"   {text}", flush=True)


class Demo:
    def __init__(self, run, worker_count, victim, command):
        self.state = RunState(run)
        self.logs = run / "logs"
        self.victim = victim
        self.worker_count = worker_count
        self.command = command
        self.display = Display()
        self.begin = time.monotonic()
        self.first_commit = None
        self.workers = []

    def start(self):
        for worker in range(self.worker_count):
            numbered = [f"--worker-id={worker}", f"--num-workers={self.worker_count}"]
            with open(self.logs / f"worker-{worker}.log", "wb") as log:
                self.workers.append(
                    subprocess.Popen(
                        self.command + numbered,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )
        pids = ", ".join(str(process.pid) for process in self.workers)
        self.display.event(f"{self.worker_count} workers started (processes {pids})")

    def seconds(self):
        return time.monotonic() - self.begin

    def poll(self):
        time.sleep(POLL_SECONDS)
        self.state.refresh()
        for worker, process in enumerate(self.workers):
            if process.poll() not in (None, 0) and worker != self.victim:
                self.fail(worker, f"ended with status {process.returncode}")
        counts = "   ".join(
            f"worker {worker}: {len(self.state.committed_by(worker))}"
            for worker in range(len(self.workers))
        )
        total = self.state.unit_count()
        if total:
            done = len(self.state.commits)
            self.display.progress(f"{self.seconds():4.0f} s   {done}/{total} units   {counts}")

    def fail(self, worker, what):
        log = self.logs / f"worker-{worker}.log"
        self.display.event(f"worker {worker} {what}; the end of {log}:")
        print(*log.read_text(errors="replace").splitlines()[-20:], sep="\n")
        sys.exit(1)

    def wait_for_commits_of_victim(self):
        """Returns how long the victim took for its latest unit."""
        times = []
        while len(times) < COMMITS_BEFORE_KILL:
            self.poll()
            if self.state.commits and self.first_commit is None:
                self.first_commit = self.seconds()
                self.display.event(f"{self.first_commit:4.0f} s   the first unit is committed")
            if self.workers[self.victim].poll() is not None:
                self.fail(self.victim, "ended before it could be killed")
            while len(times) < len(self.state.committed_by(self.victim)):
                times.append(self.seconds())
        return times[-1] - times[-2]

    def kill_victim(self):
        unit_seconds = self.wait_for_commits_of_victim()
        # To the middle of the unit that it works on now.
        middle = time.monotonic() + min(unit_seconds / 2, 2.0)
        while time.monotonic() < middle:
            self.poll()
        process = self.workers[self.victim]
        process.kill()
        process.wait()
        killed_at = self.seconds()
        self.state.refresh()
        held = self.state.held_by(self.victim)
        if not held or process.returncode != -signal.SIGKILL:
            self.fail(self.victim, f"was not in mid-unit (status {process.returncode})")
        units = ", ".join(str(unit) for unit in held)
        self.display.event(
            f"{killed_at:4.0f} s   KILLED worker {self.victim} (kill -9 {process.pid}) while it "
            f"held unit {units}; it will not be restarted"
        )
        self.display.event(
            "       the others take its units over when its lease has ended and their own are done"
        )
        return killed_at, held

    def wait_for_others(self, killed_at, held):
        waiting = set(held)
        taken_over = {}
        others = [p for w, p in enumerate(self.workers) if w != self.victim]
        while any(process.poll() is None for process in others) or waiting:
            ended = all(process.poll() is not None for process in others)
            self.poll()
            for unit in sorted(waiting & self.state.commits.keys()):
                waiting.remove(unit)
                taken_over[unit] = self.state.commits[unit]
                self.display.event(
                    f"{self.seconds():4.0f} s   unit {unit} of the killed worker is committed by "
                    f"worker {taken_over[unit]}, {self.seconds() - killed_at:.0f} s after the kill"
                )
            if ended and waiting:
                sys.exit(f"   nobody took over unit {sorted(waiting)}")
        return taken_over

    def run(self):
        self.start()
        killed_at, held = self.kill_victim()
        taken_over = self.wait_for_others(killed_at, held)
        total = self.state.unit_count()
        if len(self.state.commits) != total:
            sys.exit(f"   only {len(self.state.commits)} of {total} units are committed")
        seconds = self.seconds()
        self.display.event(f"{seconds:4.0f} s   all {total} units are committed")
        facts = {
            "seconds": seconds,
            "seconds_to_first_commit": self.first_commit,
            "workers": len(self.workers),
            "killed_worker": self.victim,
            "committed_by_killed_worker": len(self.state.committed_by(self.victim)),
            "held_by_killed_worker": held,
            "taken_over": {str(unit): worker for unit, worker in taken_over.items()},
        }
        (self.logs / "demo.json").write_text(json.dumps(facts) + "\n")

    def end_all(self):
        for process in self.workers:
            if process.poll() is None:
                process.terminate()
        for process in self.workers:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--run", type=pathlib.Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--kill", type=int, required=True)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    (arguments.run / "logs").mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    demo = Demo(arguments.run, arguments.workers, arguments.kill, arguments.command)
    try:
        demo.run()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        demo.end_all()


if __name__ == "__main__":
    main()
