"""Whether the machine was idle: what others took of its processors beside the benchmark, or its host from all of it."""
import ctypes
import os
import time

PR_SET_CHILD_SUBREAPER = 36
MOST = 0.1      # of a core, by others; the kernel writing our files back is among them


def others():
    """Seconds of processors that this process, and those that it has waited for, have not used; those stolen count."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])


class Idle:
    """Servers that this process starts become its children, so that their time can be told from others'."""

    def __init__(self, seconds=3):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.parts = []     # name, seconds, of those by others
        self.begin()
        time.sleep(seconds)
        self.end("before")

    def begin(self):
        self.start = time.monotonic(), others()

    def end(self, what):
        self.parts.append((what, time.monotonic() - self.start[0], max(0.0, others() - self.start[1])))

    def statement(self):
        shares = {what: used / passed for what, passed, used in self.parts}
        worst = max(shares, key=shares.get)
        line = f"machine was{'' if shares[worst] <= MOST else ' not'} idle: {shares['before']:.0%} of a core used by others before"
        during = [part[1:] for part in self.parts if part[0] != "before"]
        if during:
            line += f", {sum(used for _, used in during) / sum(passed for passed, _ in during):.0%} during, at most {shares[worst]:.0%} ({worst})"
        return line
