"""Which program a word names: the base name without version, copies' endings and path; and what begins a command.

A package may install `mysql` as `mysql8.0`, `mysql.real` or `mysqldump-8.0`, and the kernel adds ` (deleted)` to a file
that is gone. A word anywhere in a command line may be a program, because wrappers run what follows them (`sudo mysql`,
`docker exec db mysql`), except among the arguments of programs that run nothing (`find -name mysql`).
"""

import re
from typing import Final

from agents.memo import Memo
from agents.privacy.rules.vocabulary import word_set

COPY_GATE: Final = (
    r"(?:[\-_.]?v?[0-9][0-9.]*)?(?:\.(?:exe|real|orig|bin|distrib|wrapped|cmd|bat|com))*(?: \(deleted\))?"
)
"""What a copy of a program has behind its name."""

_ENDING: Final = re.compile(r"(?:\.(?:exe|real|orig|bin|distrib|wrapped|cmd|bat|com)|[\-_.]?v?[0-9][0-9.]*)\Z")
"""One of the endings, to take them off from the right."""

EXAMPLES: Final = {
    "_BEFORE": ("(mysql", "mysql"),
    "_ENDING": ("mysql8.0", "mysql"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

_DELETED: Final = " (deleted)"
_BEFORE: Final = re.compile(r".*[\[({`$\"'@,]", re.DOTALL)
"""What may stand before a name in one word: `["mysql`, `exec.Command("mysql`."""

_MAX_ENDINGS: Final = 4
_LONGEST_NAME: Final = 64


def basename(binary: str) -> str:
    """The lower-case name of a program from its path, without `.exe` and ` (deleted)`."""
    name = binary.removesuffix(_DELETED).rpartition("/")[2].rpartition("\\")[2].lower()
    return name.removesuffix(".exe")


def spelled_names(word: str) -> tuple[str, ...]:
    """Names of the program that `word` may be, the most exact first: `mysql-8.0.real`, `mysql-8.0`, `mysql`."""
    return _SPELLED[word[-_LONGEST_NAME:]] if word else ()


def _spelled(word: str) -> tuple[str, ...]:
    name = basename(_BEFORE.sub("", word.rstrip("\"'`,;])}@")))
    names = [name]
    for _ in range(_MAX_ENDINGS):
        ending = _ENDING.search(name)
        if ending is None or not ending.start():
            break
        name = name[: ending.start()]
        names.append(name)
    return tuple(names)


_SPELLED: Final = Memo(_spelled, 4096)
"""Words of command lines repeat; strangers' words must not cost memory."""

SHELLS: Final = word_set("sh bash dash zsh ksh ash mksh fish csh tcsh")

WRAPPERS: Final = word_set("""
    sudo doas su env nohup setsid time timeout nice ionice chrt taskset stdbuf strace ltrace xargs exec command
    builtin eval then do else elif if while until ! { ( busybox toybox chroot nsenter unshare systemd-run runuser
    gosu su-exec tini dumb-init dbus-run-session flock watch parallel script unbuffer firejail proot fakeroot
    torsocks proxychains proxychains4 catchsegv valgrind gdb perf ld.so ld-linux-x86-64.so ssh
""")
"""Words after which a command may stand; what is not here and takes no commands ends the search for them."""

RUN_NOTHING: Final = word_set("""
    ls cat cp mv rm ln mkdir rmdir touch stat file du df chmod chown chgrp install readlink realpath basename dirname
    grep egrep fgrep zgrep rg ag ack sed awk gawk mawk cut sort uniq wc head tail less more tee tr diff cmp comm
    which whereis type man apropos whatis info locate updatedb find fd tree
    gcc g++ cc c++ clang clang++ ld ar as nm strip objdump objcopy ranlib cmake ninja ccache rustc
    apt apt-get apt-cache apt-mark aptitude dpkg dpkg-query dpkg-divert update-alternatives dnf yum rpm zypper pacman
    apk brew port snap flatpak pip pip3 conda emerge debconf-show
    git svn hg tar gzip gunzip bzip2 xz zstd cpio rsync scp sftp
    ps pgrep pkill killall kill systemctl service journalctl loginctl update-rc.d invoke-rc.d chkconfig rc-service
    id getent groups passwd userdel groupdel usermod mount umount lsof fuser ldd test [
""")
"""Programs whose arguments are never commands, so that no word among them is taken for one. `find` runs commands only
behind `-exec` and its like, which begin a command."""

RUNS_BEHIND: Final = word_set("-exec -execdir -ok -okdir --to-command --checkpoint-action --use-compress-program")
"""Options of these behind which a command does stand."""
