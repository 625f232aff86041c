/* net/errno.c -- a table of the error numbers a program like this can meet. */
#include "net/errno.h"

#include <errno.h>
#include <stddef.h>

#define ROW(name, text)   \
    {                     \
        name, #name, text \
    }

static const struct row {
    int number;
    const char *word, *text;
} rows[] = {
    ROW(EACCES, "Permission denied"),
    ROW(EADDRINUSE, "Address already in use"),
    ROW(EADDRNOTAVAIL, "Address not available"),
    ROW(EAFNOSUPPORT, "Address family not supported"),
    ROW(EAGAIN, "Resource temporarily unavailable"),
    ROW(EALREADY, "Connection already in progress"),
    ROW(EBADF, "Bad file descriptor"),
    ROW(EBUSY, "Device or resource busy"),
    ROW(ECANCELED, "Operation canceled"),
    ROW(ECONNABORTED, "Connection aborted"),
    ROW(ECONNREFUSED, "Connection refused"),
    ROW(ECONNRESET, "Connection reset by peer"),
    ROW(EDESTADDRREQ, "Destination address required"),
    ROW(EEXIST, "File exists"),
    ROW(EFAULT, "Bad address"),
    ROW(EHOSTUNREACH, "No route to host"),
    ROW(EINPROGRESS, "Operation in progress"),
    ROW(EINTR, "Interrupted by a signal"),
    ROW(EINVAL, "Invalid argument"),
    ROW(EIO, "Input/output error"),
    ROW(EISCONN, "Socket is connected"),
    ROW(EISDIR, "Is a directory"),
    ROW(ELOOP, "Too many levels of symbolic links"),
    ROW(EMFILE, "Too many open files"),
    ROW(EMSGSIZE, "Message too long"),
    ROW(ENAMETOOLONG, "Name too long"),
    ROW(ENETDOWN, "Network is down"),
    ROW(ENETRESET, "Connection dropped by the network"),
    ROW(ENETUNREACH, "Network is unreachable"),
    ROW(ENFILE, "Too many open files in the system"),
    ROW(ENOBUFS, "No buffer space available"),
    ROW(ENODEV, "No such device"),
    ROW(ENOENT, "No such file or directory"),
    ROW(ENOMEM, "Cannot allocate memory"),
    ROW(ENOPROTOOPT, "Protocol not available"),
    ROW(ENOSPC, "No space left on device"),
    ROW(ENOSYS, "Function not implemented"),
    ROW(ENOTCONN, "Socket is not connected"),
    ROW(ENOTDIR, "Not a directory"),
    ROW(ENOTSOCK, "Not a socket"),
    ROW(ENXIO, "No such device or address"),
    ROW(EOPNOTSUPP, "Operation not supported"),
    ROW(EPERM, "Operation not permitted"),
    ROW(EPIPE, "Broken pipe"),
    ROW(EPROTO, "Protocol error"),
    ROW(EPROTONOSUPPORT, "Protocol not supported"),
    ROW(EPROTOTYPE, "Protocol wrong type for socket"),
    ROW(EROFS, "Read-only file system"),
    ROW(ETIMEDOUT, "Connection timed out"),
    ROW(ETXTBSY, "Text file busy"),
    ROW(EXDEV, "Cross-device link"),
#ifdef EHOSTDOWN
    ROW(EHOSTDOWN, "Host is down"),
#endif
#ifdef ENONET
    ROW(ENONET, "Machine is not on the network"),
#endif
#ifdef ESHUTDOWN
    ROW(ESHUTDOWN, "Cannot send after shutdown"),
#endif
#ifdef ESOCKTNOSUPPORT
    ROW(ESOCKTNOSUPPORT, "Socket type not supported"),
#endif
};

static const struct row *row_of(int err)
{
    static const struct row none = {0, "SYSTEM", "Unknown system error"};
    size_t i;

    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].number == err)
            return &rows[i];
    }
    return &none;
}

const char *ws_errno_word(int err)
{
    return row_of(err)->word;
}

const char *ws_errno_text(int err)
{
    return row_of(err)->text;
}
