# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy over the files of a compile database, except where they are known to be clean.

A file's key is a hash over everything that clang-tidy sees of ours: the file, the headers it
includes (those of ours refer to each other by the quoted path from the root, so that they are found
without a compiler), its compile command, .clang-tidy, and a salt that stands for the third-party
headers. An empty file CACHE/KEY says that it was clean. Used by hack/tidy.
"""
import argparse
import concurrent.futures
import functools
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import time

TIDY = "clang-tidy-19"
INCLUDE = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
ROOT = pathlib.Path.cwd()


@functools.cache
def content(path):
    return path.read_bytes()


@functools.cache
def includes(path, folders):
    """The files that `path` includes by a quoted name."""
    found = []
    for name in INCLUDE.findall(content(path)):
        for folder in (path.parent, *folders):
            candidate = folder / name.decode()
            if candidate.is_file():
                found.append(candidate.resolve())
                break
    return found


def closure(path, folders):
    seen, left = set(), [path]
    while left:
        file = left.pop()
        if file not in seen:
            seen.add(file)
            left += includes(file, folders)
    return sorted(seen)


def key(entry, salt):
    """The hash over all that decides what clang-tidy says about one entry of the database."""
    command = entry["command"]
    below_root = re.findall(rf"(?:-I|-isystem )\s*({re.escape(str(ROOT))}\S*)", command)
    files = closure(pathlib.Path(entry["file"]), tuple(map(pathlib.Path, below_root)))
    digest = hashlib.sha256(salt)
    digest.update(command.replace(str(ROOT), ".").encode())
    for file in files:
        digest.update(f"\0{file.relative_to(ROOT)}\0".encode() + content(file))
    return digest.hexdigest()


def ours(entries, wanted):
    chosen = []
    for entry in entries:
        file = pathlib.Path(entry["file"])
        if file.is_relative_to(ROOT / "build") or file.suffix != ".cc":
            continue
        if not wanted or file in wanted:
            chosen.append(entry)
    return chosen


def tidy(entry, database):
    return subprocess.run([TIDY, "-p", database, "--quiet", entry["file"]],
                          capture_output=True, text=True, check=False)


class Progress:
    """A line every 15 s: how many of how many, and about how long yet."""

    def __init__(self, total):
        self.total, self.done = total, 0
        self.start = self.said = time.monotonic()

    def step(self):
        self.done += 1
        now = time.monotonic()
        if now - self.said >= 15 and self.done < self.total:
            self.said = now
            left = (now - self.start) / self.done * (self.total - self.done)
            print(f"    tidy: {self.done} of {self.total} files, {now - self.start:.0f} s, "
                  f"about {left:.0f} s left", flush=True)


def run(todo, options):
    """Returns the names of the files that are not clean, having shown what is said about them."""
    failed, progress = [], Progress(len(todo))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = {pool.submit(tidy, entry, options.database): (entry, name) for entry, name in todo}
        for job in concurrent.futures.as_completed(jobs):
            (entry, name), result = jobs[job], job.result()
            if result.returncode == 0:
                (options.cache / name).touch()
            else:
                failed.append(entry["file"])
                print(result.stdout or result.stderr, flush=True)
            progress.step()
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True)
    parser.add_argument("--cache", required=True, type=pathlib.Path)
    parser.add_argument("--salt", required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)

    entries = json.loads((pathlib.Path(options.database) / "compile_commands.json").read_text())
    chosen = ours(entries, {(ROOT / file).resolve() for file in options.files})
    if not chosen:
        sys.exit("hack/tidy: no such file in the compile database")
    version = subprocess.run([TIDY, "--version"], capture_output=True, check=True).stdout
    salt = version + options.salt.encode() + content(ROOT / ".clang-tidy")
    todo = []
    for entry in chosen:
        name = key(entry, salt)
        if (options.cache / name).exists():
            (options.cache / name).touch()  # in use: hack/tidy removes what has been of none for long
        else:
            todo.append((entry, name))
    failed = run(todo, options)
    known = len(chosen) - len(todo)
    if failed:
        sys.exit(f"hack/tidy: {len(failed)} of {len(chosen)} files have findings")
    print(f"hack/tidy: ok, {len(chosen)} files ({known} unchanged)")


main()
