"""One request a line on stdin, one answer a line on stdout: how bench:peers talks to a peer that stays warm between rounds."""

import json
import os
import sys
import time


def serve(commands):
    """Calls commands[request["call"]](**arguments). What libraries print goes to stderr, so that stdout holds answers only."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        call = request.pop("call")
        try:
            answer = commands[call](**request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def milliseconds(work, repeats=1):
    """Wall time of one call, averaged over `repeats`, and what the last call gave."""
    start = time.perf_counter()
    for _ in range(repeats):
        result = work()
    return (time.perf_counter() - start) * 1e3 / repeats, result
