"""Floor 3: the protocol of `spec/protocol.md` without sockets. A request comes in as a value, a response goes out as one."""
