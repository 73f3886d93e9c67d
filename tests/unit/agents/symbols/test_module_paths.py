"""Every name that one file can have in a maps file becomes one module."""

import pytest

from agents.symbols.module_paths import MAX_PATH_CHARS, ModuleKind, ModulePath, normalize_module

LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"
ID = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
SHORT_ID = "9f86d081884c"


@pytest.mark.parametrize(
    "raw",
    [
        LIBC,
        "/lib/x86_64-linux-gnu/libc.so.6",
        f"{LIBC} (deleted)",
        f"{LIBC} (deleted) (deleted)",
        "//usr//lib/./x86_64-linux-gnu/libc.so.6",
        "/usr/local/../lib/x86_64-linux-gnu/libc.so.6",
        "/../usr/lib/x86_64-linux-gnu/libc.so.6",
        f"/proc/1234/root{LIBC}",
        f"/proc/self/root{LIBC}",
        f"/proc/1234/task/77/root{LIBC}",
        f"/host/proc/1234/root{LIBC}",
        f"/procRoot/1234/root{LIBC}",
        f"/proc/1/root/proc/77/root{LIBC}",
        f"/var/lib/docker/overlay2/{ID}/merged{LIBC}",
        f"/var/lib/docker/overlay2/{ID}/diff{LIBC}",
        f"/var/lib/docker/overlay2/{ID}-init/diff{LIBC}",
        f"/data/docker/165536.165536/overlay2/{ID}/merged{LIBC}",
        f"/var/lib/docker/aufs/mnt/{ID}{LIBC}",
        f"/var/lib/docker/btrfs/subvolumes/{ID}{LIBC}",
        f"/var/lib/docker/devicemapper/mnt/{ID}/rootfs{LIBC}",
        f"/var/lib/docker/rootfs/overlayfs/{ID}{LIBC}",
        f"/var/lib/docker/vfs/dir/{ID}{LIBC}",
        f"/var/lib/docker/zfs/graph/{ID}{LIBC}",
        f"/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1042/fs{LIBC}",
        f"/var/lib/rancher/k3s/agent/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs{LIBC}",
        f"/var/lib/containerd/io.containerd.snapshotter.v1.btrfs/active/7{LIBC}",
        f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/rootfs{LIBC}",
        f"/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/rootfs{LIBC}",
        f"/run/containerd/io.containerd.runtime.v1.linux/moby/{ID}/rootfs{LIBC}",
        f"/var/lib/buildkit/runc-overlayfs/snapshots/snapshots/5/fs{LIBC}",
        f"/var/lib/containers/storage/overlay/{ID}/merged{LIBC}",
        f"/var/lib/containers/storage/overlay/{SHORT_ID}/diff{LIBC}",
        f"/var/home/core/.local/share/containers/storage/overlay/{ID}/merged{LIBC}",
        f"/var/lib/containers/storage/vfs/dir/{ID}{LIBC}",
        f"/run/kata-containers/shared/sandboxes/{ID}/shared/{ID}/rootfs{LIBC}",
        f"/run/kata-containers/{ID}/rootfs{LIBC}",
        f"/var/lib/lxc/web/rootfs{LIBC}",
        f"/var/snap/lxd/common/lxd/storage-pools/default/containers/web/rootfs{LIBC}",
        f"/var/lib/machines/web{LIBC}",
        f"/proc/1/root/var/lib/docker/overlay2/{ID}/merged/lib/x86_64-linux-gnu/libc.so.6 (deleted)",
        f"/var/lib/docker/overlay2/{ID}/merged/var/lib/docker/overlay2/{ID}/merged{LIBC}",
    ],
)
def test_one_file_has_one_module(raw: str) -> None:
    """Prefixes of container engines, procfs roots, the kernel's notes and the usr-merge do not reach the module."""
    assert normalize_module(raw) == ModulePath(ModuleKind.FILE, LIBC, is_deleted=raw.endswith(" (deleted)"))


@pytest.mark.parametrize(
    ("raw", "module"),
    [
        ("/app/server", "/app/server"),
        ("/bin/busybox", "/usr/bin/busybox"),
        ("/lib64/ld-linux-x86-64.so.2", "/usr/lib64/ld-linux-x86-64.so.2"),
        ("/library/x", "/library/x"),
        ("/opt/lib/x", "/opt/lib/x"),
        ("/lib", "/lib"),
        ("/app/overlay2/readme/merged/x", "/app/overlay2/readme/merged/x"),
        ("/app/proc/status/root/x", "/app/proc/status/root/x"),
        ("/app/snapshots/old/fs/x", "/app/snapshots/old/fs/x"),
        ("/app/name (deleted) again", "/app/name (deleted) again"),
        ("/app/.hidden/..x/y", "/app/.hidden/..x/y"),
        ("/SYSVolume/bin/x", "/SYSVolume/bin/x"),
        ("/anonymous/x", "/anonymous/x"),
        ("relative/lib.so", "relative/lib.so"),
        (f"/proc/1/root/var/lib/docker/overlay2/{ID}/mergedx/y", f"/var/lib/docker/overlay2/{ID}/mergedx/y"),
    ],
)
def test_paths_that_only_look_like_a_prefix_stay(raw: str, module: str) -> None:
    """A path is cut only at a whole prefix of a known container engine."""
    assert normalize_module(raw) == ModulePath(ModuleKind.FILE, module)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "[heap]",
        "[stack]",
        "[stack:1234]",
        "[anon:dalvik-jit-code-cache]",
        "[uprobes]",
        "//anon",
        "/dev/zero (deleted)",
        "/SYSV00000000 (deleted)",
        "/anon_hugepage (deleted)",
        "/[aio] (deleted)",
        "anon_inode:[perf_event]",
    ],
)
def test_memory_without_a_file_is_anonymous(raw: str) -> None:
    """Heap, stack, shared memory and JIT areas all are `[anon]`."""
    assert normalize_module(raw) == ModulePath(ModuleKind.ANONYMOUS, "[anon]")


@pytest.mark.parametrize(
    "raw",
    [
        "/memfd:runc_cloned:/proc/self/exe (deleted)",
        "/memfd:password=hunter2 (deleted)",
        "memfd:password=hunter2",
        "memfd:x (deleted)",
    ],
)
def test_memfd_loses_its_name(raw: str) -> None:
    """The name of a memfd is the process's own text, so it is not kept."""
    assert normalize_module(raw) == ModulePath(ModuleKind.MEMFD, "[memfd]")


@pytest.mark.parametrize(
    ("raw", "module"), [("[vdso]", "[vdso]"), ("linux-vdso.so.1", "[vdso]"), ("[vsyscall]", "[vsyscall]")]
)
def test_kernel_pages_in_a_process_are_named(raw: str, module: str) -> None:
    """The vdso keeps one name, whatever a tool calls it."""
    assert normalize_module(raw) == ModulePath(ModuleKind.VDSO, module)


def test_path_longer_than_any_kernel_prints_is_unknown() -> None:
    """A path beyond PATH_MAX is refused, not kept in memory."""
    assert normalize_module("/" + "a" * MAX_PATH_CHARS).kind is ModuleKind.UNKNOWN
