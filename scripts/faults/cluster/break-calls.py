# break-calls.py PID SOCKET: ends every connection that the process has to the Unix socket it knows by that path, as the server would.
import ctypes
import errno
import os
import socket
import sys

PIDFD_GETFD = 438  # on every architecture; no module has it
# Closed meanwhile, or nobody's peer.
HARMLESS = {errno.ENOENT, errno.EBADF, errno.ENOTCONN}

pid, path = int(sys.argv[1]), sys.argv[2]
libc = ctypes.CDLL(None, use_errno=True)
pidfd = os.pidfd_open(pid)
for number in os.listdir(f"/proc/{pid}/fd"):
    try:
        if not os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:"):
            continue
        own = libc.syscall(PIDFD_GETFD, pidfd, int(number), 0)
        if own < 0:
            raise OSError(ctypes.get_errno(), f"cannot take file {number} of process {pid}")
        with socket.socket(fileno=own) as end:
            if end.family == socket.AF_UNIX and end.getpeername() == path:
                end.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        if error.errno not in HARMLESS:
            raise
