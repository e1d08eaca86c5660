"""What the kernel's error numbers mean to a flow: one table for every socket."""

import errno

from anongw.errors import Reason, Refused

_REASONS = {
    errno.ECONNREFUSED: Reason.CONNECTION_REFUSED,
    errno.ECONNRESET: Reason.CONNECTION_REFUSED,
    errno.EHOSTUNREACH: Reason.HOST_UNREACHABLE,
    errno.EHOSTDOWN: Reason.HOST_UNREACHABLE,
    errno.ENETUNREACH: Reason.NETWORK_UNREACHABLE,
    errno.ENETDOWN: Reason.NETWORK_UNREACHABLE,
    errno.EADDRNOTAVAIL: Reason.NETWORK_UNREACHABLE,  # no address of this family on this machine
    errno.EAFNOSUPPORT: Reason.NETWORK_UNREACHABLE,
    errno.EINVAL: Reason.NETWORK_UNREACHABLE,
    errno.EACCES: Reason.NETWORK_UNREACHABLE,  # a firewall of this machine
    errno.EPERM: Reason.NETWORK_UNREACHABLE,
    errno.ETIMEDOUT: Reason.CONNECT_TIMEOUT,
    errno.EMFILE: Reason.RESOURCES,
    errno.ENFILE: Reason.RESOURCES,
    errno.ENOBUFS: Reason.RESOURCES,
    errno.ENOMEM: Reason.RESOURCES,
}


def reason_of(code: int | None) -> Reason:
    """Why a connection could not be had, by errno(3)."""
    return _REASONS.get(code or 0, Reason.HOST_UNREACHABLE)


def refusal(error: OSError) -> Refused:
    """The same for an exception; the detail is the error's symbol, which names nobody."""
    timeout = isinstance(error, TimeoutError)
    reason = Reason.CONNECT_TIMEOUT if timeout else reason_of(error.errno)
    return Refused(reason, errno.errorcode.get(error.errno or 0, "no errno"))
