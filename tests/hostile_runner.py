"""A process that runs the command line again and again, each time in a child with little memory and time.

    python tests/hostile_runner.py   # reads {"arguments": [...], "folder": ...} lines, answers with outcomes

Importing the package takes seconds; children of a process that has imported it start at once. What a child allocates
or how it dies cannot harm the tests.
"""

import json
import os
import resource
import signal
import sys
import tempfile
import time

MEMORY = 1536 << 20
"""Bytes that a child may take beyond what the package takes by itself."""
SECONDS = 30


def run(arguments: list[str], folder: str) -> dict:
    """Exit code (negative for a signal), both outputs, seconds, and the most memory in bytes beyond the start's."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            become_longdance(arguments, folder, out.fileno(), err.fileno())
        _, status, usage = os.wait4(child, 0)
        outputs = []
        for file in (out, err):
            file.seek(0)
            outputs.append(file.read(1 << 20).decode(errors="backslashreplace"))
        return {
            "exit_code": os.waitstatus_to_exitcode(status),
            "stdout": outputs[0],
            "stderr": outputs[1],
            "seconds": time.monotonic() - began,
            "memory": usage.ru_maxrss * 1024 - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def become_longdance(arguments: list[str], folder: str, out: int, err: int) -> None:
    """Turn this process into the command line; never returns."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.chdir(folder)
    # Address space, because what is promised and never touched counts as well; the libraries reserve much themselves.
    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    signal.alarm(SECONDS)
    sys.argv = ["longdance", *arguments]
    code = 1
    try:
        main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    import av  # noqa: F401
    import scipy.signal  # noqa: F401

    import longdance.choreography.pretrained
    import longdance.export.formats
    import longdance.motion.retarget  # noqa: F401
    from longdance.cli import main

    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), flush=True)
