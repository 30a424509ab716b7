# A client that wants the service to prove itself, by the GSS-API of MIT: prints
# its token, reads the answer, and says whether the context is established.
#   mutual.py HTTP@host spnego|krb5
import base64
import ctypes
import sys

gss = ctypes.CDLL("libgssapi_krb5.so.2")
MUTUAL, COMPLETE, CONTINUE = 2, 0, 1


class Buffer(ctypes.Structure):
    _fields_ = [("length", ctypes.c_size_t), ("value", ctypes.c_void_p)]


class OID(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint32), ("elements", ctypes.c_void_p)]


def oid(der):
    return OID(len(der), ctypes.cast(ctypes.create_string_buffer(der, len(der)), ctypes.c_void_p))


def buffer(data):
    return Buffer(len(data), ctypes.cast(ctypes.create_string_buffer(data, len(data)), ctypes.c_void_p))


mechanisms = {"spnego": b"\x2b\x06\x01\x05\x05\x02", "krb5": b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"}
minor = ctypes.c_uint32()
target, context = ctypes.c_void_p(), ctypes.c_void_p()
service = oid(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04")
name = buffer(sys.argv[1].encode())
if gss.gss_import_name(ctypes.byref(minor), ctypes.byref(name), ctypes.byref(service), ctypes.byref(target)) != COMPLETE:
    sys.exit("import name: %d" % minor.value)
mechanism = oid(mechanisms[sys.argv[2]])


def step(token):
    out, flags = Buffer(), ctypes.c_uint32()
    incoming = buffer(token)
    major = gss.gss_init_sec_context(
        ctypes.byref(minor), None, ctypes.byref(context), target, ctypes.byref(mechanism), MUTUAL, 0, None,
        ctypes.byref(incoming), None, ctypes.byref(out), ctypes.byref(flags), None)
    if major not in (COMPLETE, CONTINUE):
        sys.exit("major %#x, minor %d" % (major & 0xFFFFFFFF, minor.value))
    return major, flags.value, ctypes.string_at(out.value, out.length) if out.length else b""


major, _, token = step(b"")
print(base64.b64encode(token).decode(), flush=True)
if major != CONTINUE:
    sys.exit("the client wants no answer")
major, flags, token = step(base64.b64decode(sys.stdin.readline()))
print("established" if major == COMPLETE and flags & MUTUAL and not token else "not established", flush=True)
