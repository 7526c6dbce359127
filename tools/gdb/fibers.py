"""gdb: list the fibers of the present thread, and look at the stack of one that waits.

    (gdb) source tools/gdb/fibers.py
    (gdb) fibers              name, state, what each waits for, its address
    (gdb) fiber 0x5555...     a backtrace of the fiber at that address

Both read memory only, so they work on a core file too. A fiber that runs is what `bt` shows.
"""

import gdb

STATES = ("parked", "ready", "running", "waiting", "ended")


def entries(head, container, member):
    """The structs whose `member` is linked into the ring `head` (base/list.h)."""
    kind = gdb.lookup_type(container)
    field = next(f for f in kind.fields() if f.name == member)
    link = head["next"]
    while link != head.address:
        at = int(link) - field.bitpos // 8
        yield gdb.Value(at).cast(kind.pointer())
        link = link["next"]


def text(pointer):
    return pointer.string() if int(pointer) else ""


class Fibers(gdb.Command):
    """List the fibers of the present thread."""

    def __init__(self):
        super().__init__("fibers", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        run = gdb.parse_and_eval("run_here")
        now = int(run["loop"]["time"])
        for f in entries(run["everyone"], "struct fiber", "everyone"):
            print(
                "0x%x %-20s %-8s %-12s %8d ms%s"
                % (
                    int(f),
                    text(f["name"]),
                    STATES[int(f["state"])],
                    text(f["what"]),
                    now - int(f["since"]),
                    " cancelled" if f["cancelled"] else "",
                )
            )


class Fiber(gdb.Command):
    """Show the stack of a fiber that is ready or waits (x86-64)."""

    def __init__(self):
        super().__init__("fiber", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        f = gdb.parse_and_eval("(struct fiber *)(%s)" % argument)
        if int(f["state"]) == STATES.index("running"):
            gdb.execute("backtrace")
            return
        if not int(f["stack"]):
            print("parked without a stack")
            return
        word = gdb.lookup_type("unsigned long")
        sp = f["context"]["sp"].cast(word.pointer())
        # context_swap() has pushed the control words, r15 to r12, rbx, rbp above the return address.
        frame = int(sp[6]), int(sp[7])
        top = int(f["stack"]["base"]) + int(f["stack"]["size"])
        describe(frame[1])
        base = frame[0]
        while int(f["stack"]["base"]) <= base < top:
            above = gdb.Value(base).cast(word.pointer())
            describe(int(above[1]))
            base = int(above[0])


def describe(pc):
    block = gdb.block_for_pc(pc - 1)
    while block and not block.function:
        block = block.superblock
    line = gdb.find_pc_line(pc - 1)
    where = "%s:%d" % (line.symtab.filename, line.line) if line.symtab else "?"
    print("  0x%x %s at %s" % (pc, block.function if block else "?", where))


Fibers()
Fiber()
