"""What runs within the sandbox's walls, and all that is seen there of this package.

`kernel` runs the cells of either side. The student's process leaves `snapshots`; tests, in a kernel
of their own, reach the functions in them through `tester`, over `channel`; `hidden` holds the tests
on inputs that only graders know.
"""
