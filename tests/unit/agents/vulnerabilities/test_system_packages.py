"""Which package owns a file, by the databases of dpkg and apk."""

from agents.vulnerabilities.system_packages import (
    SystemPackage,
    apk_packages,
    dpkg_list_names,
    dpkg_packages,
    dpkg_paths,
)

_STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.36-9+deb12u4
Description: a library
 with more lines: of text

Package: gone
Status: deinstall ok config-files
Version: 1.0

Package: libzip4
Architecture: amd64
Source: libzip (1.7.3-1)
Version: 1.7.3-1+b1
"""

_INSTALLED = """C:Q1abc=
P:musl
V:1.2.4-r2
A:x86_64
o:musl
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1def=
R:libc.musl-x86_64.so.1

P:busybox-binsh
V:1.36.1-r5
A:x86_64
o:busybox
F:
R:linuxrc
F:bin
M:0:0:755
R:sh
"""


def test_installed_packages_have_their_source() -> None:
    """What was taken away is none; paragraphs of images without dpkg have no status."""
    assert dpkg_packages(_STATUS) == [
        SystemPackage("deb", "libc6", "2.36-9+deb12u4", "amd64", "glibc", "2.36-9+deb12u4"),
        SystemPackage("deb", "libzip4", "1.7.3-1+b1", "amd64", "libzip", "1.7.3-1"),
    ]


def test_a_package_of_several_architectures_has_a_list_for_each() -> None:
    """One of the two names is there."""
    assert dpkg_list_names(dpkg_packages(_STATUS)[0]) == ("libc6.list", "libc6:amd64.list")


def test_a_list_has_paths_below_the_root() -> None:
    """The root itself is none."""
    assert dpkg_paths("/.\n/usr\n/usr/lib/libc.so.6\n\nusr/x\n") == ["/usr", "/usr/lib/libc.so.6"]


def test_apk_has_files_below_their_folders() -> None:
    """Lines of rights and digests are passed over."""
    (musl, musl_paths), (busybox, busybox_paths) = apk_packages(_INSTALLED)

    assert musl == SystemPackage("apk", "musl", "1.2.4-r2", "x86_64", "musl", "1.2.4-r2")
    assert musl_paths == ["/lib/ld-musl-x86_64.so.1", "/lib/libc.musl-x86_64.so.1"]
    assert (busybox.name, busybox.source) == ("busybox-binsh", "busybox")
    assert busybox_paths == ["/linuxrc", "/bin/sh"]


def test_a_damaged_database_has_no_packages() -> None:
    """Whatever its lines are."""
    assert dpkg_packages("\n: x\nPackage\n\x00\n") == []
    assert apk_packages("\n\nF\nR:\n:\n") == []
