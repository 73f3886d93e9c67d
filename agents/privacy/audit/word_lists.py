"""What people write: passwords that everybody uses, ordinary words and names, and which letters follow which.

The lists are those of zxcvbn, an estimator of the strength of passwords: 30,000 passwords of public leaks by their
number, and some 80,000 words and names of English texts.
"""

import math
from collections import Counter
from functools import cache
from itertools import pairwise
from typing import Final

from zxcvbn.frequency_lists import FREQUENCY_LISTS

PASSWORD_RANKS: Final[dict[str, int]] = {word: rank for rank, word in enumerate(FREQUENCY_LISTS["passwords"], 1)}
"""Passwords of public leaks, the most used first."""

_COMPUTING: Final = frozenset(
    """
    addr admin alloc amd api app apps apt arch argv async auth auto avro backend base bin bool boot btrfs buf bytes
    cache cargo cert cgroup chmod chown cilium cmake cmd com conf config configmap const containerd cpu cron crypto css
    csv ctl curl daemon daemonset dashboard data datacenter db debian dev dhcp dict dir dns docker docs elf endpoint
    endpoints env esc etc exec ext fedora file filename firewall flags foo frontend ftp func gcc gdb geo ghz github
    gitlab gke gnu golang grafana grep grpc gui gzip helm hostname html http https hz ids img impl init initrd inode
    int ip ipv iso java javascript json jupyter kafka kb kernel kube kubectl kubelet kubernetes lang lib libc linux
    localhost log login logs lua lvm mac makefile max mb md metadata metrics min mkdir mkfs mnt mongo mongodb mount msg
    mutex mysql namespace nat net nfs nginx node nodejs npm null num nvme oauth opt oracle org os pdf perl php pid pip
    pkg plugin png pod pods postgres postgresql ppc prod prometheus proto proxy py pypi python qemu ram redis regex
    repo repos riscv rpc rpm rsa ruby runtime rust saml sbin scp sdk sed sha shim sql sqlite src ssd ssh ssl stderr
    stdin stdout str subnet sudo svc svn sys syslog systemd tar tcp temp terraform tls tmp toml tty tx ubuntu udp uefi
    uid unix uri url usb usr utf util utils uuid valgrind var vault vim vlan vm vpc vpn webhook wget wifi wireguard
    xattr xfs xml xz yaml yml zfs zip zlib zone
    """.split()  # noqa: SIM905 - a list of words reads as text
)
"""Words of computing that English texts lack."""

PASSWORDS_ALONE: Final = frozenset(
    """
    letmein letmeinnow iloveyou trustno1 changeme changemenow changeit
    qweasdzxc 1q2w3e 1q2w3e4r 1q2w3e4r5t 1qaz2wsx zaq12wsx zaq1xsw2 q1w2e3r4 qwerty123
    abc123 abcd1234 a1b2c3 a1b2c3d4 password1 password12 password123 passw0rd p4ssw0rd p@ssw0rd p@ssword pa55word
    pa$$word pa$$w0rd welcome1 welcome123 admin123 adminadmin root123 toor123 hunter2 secret123 monkey123 dragon123
    superman1 princess1 football1 baseball1 sunshine1 letmein1 changeme1 changeme123 iloveyou1 iloveu fuckyou fuckoff
    opensesame s3cr3t s3cret supersecret topsecret letmein123 test1234 pass1234 pass123 temp1234 qwer1234 asdf1234
    """.split()  # noqa: SIM905 - a list of words reads as text
)
"""Passwords that are words of nothing else."""

ENGLISH: Final = frozenset(
    word
    for name in ("english_wikipedia", "us_tv_and_film", "female_names", "male_names", "surnames")
    for word in FREQUENCY_LISTS[name]
    if len(word) > 1
).union({word for word in PASSWORD_RANKS if word.isalpha()} - PASSWORDS_ALONE)
"""Words and names, in small letters. The list of passwords has many of them, because people take words."""

PEOPLE_AND_SEASONS: Final = frozenset(
    "spring summer autumn winter fall sommer herbst fruehling verano invierno otono printemps automne hiver ete".split()  # noqa: SIM905 - a list of words reads as text
).union(FREQUENCY_LISTS["female_names"], FREQUENCY_LISTS["male_names"])
"""What people put before a year when they need a password."""

WORDS: Final = ENGLISH | _COMPUTING
"""Ordinary words: with those of computing."""

_ODDS_OF_UNSEEN: Final = 0.25
_ALPHABET: Final = 26


@cache
def _pair_costs() -> dict[tuple[str, str], float]:
    """Bits that a letter costs behind another one in ordinary words."""
    pairs = Counter(pair for word in WORDS if word.isascii() for pair in pairwise(word))
    firsts = Counter[str]()
    for (first, _), count in pairs.items():
        firsts[first] += count
    letters = "abcdefghijklmnopqrstuvwxyz"
    return {
        (first, second): -math.log2(
            (pairs[first, second] + _ODDS_OF_UNSEEN) / (firsts[first] + _ODDS_OF_UNSEEN * _ALPHABET)
        )
        for first in letters
        for second in letters
    }


def bits_a_letter(letters: str) -> float:
    """How surprising each letter of a word in small letters is: 3 to 4 in words, 6 and more in random ones."""
    costs = _pair_costs()
    found = [costs.get(pair, 0.0) for pair in pairwise(letters)]
    return sum(found) / len(found) if found else 0.0
