# cover-uptime.py PID TEXT SECONDS: for so long, what shares the mount namespace of that process reads the text from /proc/uptime.
# No `umount` could do it: it looks for itself in a /proc that knows only the processes of the container.
import ctypes
import os
import sys
import time

CLONE_NEWNS = 0x00020000
MS_BIND = 4096
COVER, COVERED = b"/run/uptime", b"/proc/uptime"

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


pid, text, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
check(libc.setns(os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY), CLONE_NEWNS), f"cannot enter the mount namespace of process {pid}")
with open(COVER, "w") as file:
    file.write(f"{text}\n")
check(libc.mount(COVER, COVERED, None, ctypes.c_ulong(MS_BIND), None), "cannot cover /proc/uptime")
try:
    time.sleep(seconds)
finally:
    check(libc.umount2(COVERED, 0), "cannot uncover /proc/uptime")
    os.unlink(COVER)
