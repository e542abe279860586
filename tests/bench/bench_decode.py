"""Lines a second of one core, per format: the whole decode to ECS columns, beside polars' own reader on the same lines.

`python -m tests.bench decode`: CPU time of this thread, best of several batches of 20,000 records, which is what ROUTE
reads at a time. "auto" finds out the format by itself, "told" has it configured. polars extracts the same dozen values by
regular expressions (key=value, delimited, templates) or by its JSON reader, and converts none of them to addresses.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from functools import partial

import polars as pl

from detector.config import Topic
from detector.decode import Decoder
from detector.records import Place, of_lines

N, REPEATS = 20_000, 7
NOON = 1_772_450_000_000_000
GOALS = {
    "fortigate": 1_000_000,
    "netfilter": 1_000_000,
    "cef": 1_000_000,
    "panos": 700_000,
    "pfsense": 700_000,
    "sshd": 400_000,
    "cisco_asa": 400_000,
}
JSON_GOAL = 250_000


def _fortigate(i: int, r: random.Random) -> str:
    return (
        f'<189>date=2026-03-02 time=11:{i % 60:02d}:30 devname="fw-rathaus" devid="FGT60F01" logid="0000000013" '
        f'type="traffic" subtype="forward" '
        f'level="notice" eventtime=17724{i % 9_999:05d}123456789 tz="+0100" srcip=10.1.{i % 250}.{r.randrange(250)} '
        f"srcport={r.randrange(1024, 65535)} "
        f'dstip=198.51.{r.randrange(200)}.20 dstport=443 proto=6 action="close" policyid=12 '
        f"sentbyte={r.randrange(1_000_000)} rcvdbyte=88123"
    )


def _netfilter(i: int, r: random.Random) -> str:
    return (
        f"Mar  2 11:{i % 60:02d}:30 gw-bauhof kernel: [{i}.678901] [UFW BLOCK] IN=eth0 OUT= "
        f"MAC=00:00:5e:00:53:01:00:00:5e:00:53:02:08:00 "
        f"SRC=203.0.{r.randrange(250)}.{r.randrange(250)} DST=198.51.100.1 LEN=44 TOS=0x00 PREC=0x00 TTL=240 "
        f"ID={r.randrange(65535)} PROTO=TCP "
        f"SPT={r.randrange(65535)} DPT={r.randrange(1024)} WINDOW=1024 RES=0x00 SYN URGP=0"
    )


def _cef(i: int, r: random.Random) -> str:
    return (
        f"CEF:0|Example Corp|Gate|1.0|100|connection refused by policy|5|rt=17724{i % 9_999:05d}123 "
        f"src=203.0.{r.randrange(250)}.9 spt={r.randrange(65535)} "
        f"dst=198.51.100.1 dpt=22 proto=TCP act=blocked msg=rule no ssh from outside suser=anna{i % 50} dvchost=gate1 "
        f"in={r.randrange(99999)} out=0"
    )


def _panos(i: int, r: random.Random) -> str:
    return (
        f"<14>Mar  2 11:{i % 60:02d}:30 pa-850 1,2026/03/02 11:{i % 60:02d}:30,007200000000001,TRAFFIC,end,2561,"
        f"2026/03/02 11:{i % 60:02d}:29,10.2.{i % 250}.8,"
        f"203.0.113.{r.randrange(250)},198.51.100.1,203.0.113.80,clients-out,werke\\k.beck{i % 90},,ssl,vsys1,trust,"
        f"untrust,ethernet1/2,ethernet1/1,log-all,"
        f"2026/03/02 11:15:30,{i},1,{r.randrange(65535)},443,40123,443,0x40001c,tcp,allow,9200,{r.randrange(99999)},"
        f"7000,31,2026/03/02 11:15:00,14,any,,"
        "7001,0x8000000000000000,10.0.0.0-10.255.255.255,Germany,,15,16,tcp-fin,0,0,0,0,,pa-850,from-policy"
    )


def _pfsense(i: int, r: random.Random) -> str:
    return (
        f"<134>Mar  2 11:{i % 60:02d}:30 gw filterlog[72237]: 146,,,1535324496,igb1.12,match,block,in,4,0x0,,63,"
        f"{r.randrange(65535)},0,DF,6,tcp,60,"
        f"10.170.{r.randrange(250)}.50,175.16.199.1,{r.randrange(65535)},853,0,S,2457553480,,64240,,mss;sackOK;TS;nop;wscale"
    )


def _sshd(i: int, r: random.Random) -> str:
    return (
        f"Mar  2 11:{i % 60:02d}:30 web{i % 9} sshd[{1000 + i % 5000}]: Failed password for invalid user u{r.randrange(400)} "
        f"from 203.0.{r.randrange(250)}.{r.randrange(250)} port {r.randrange(65535)} ssh2"
    )


def _cisco_asa(i: int, r: random.Random) -> str:
    return (
        f"<166>Mar 02 2026 11:{i % 60:02d}:30 fw-asa : %ASA-6-302013: Built outbound TCP connection {i} for "
        f"outside:203.0.{r.randrange(250)}.9/443 "
        f"(203.0.113.9/443) to inside:10.3.{r.randrange(250)}.7/{r.randrange(65535)} (198.51.100.2/{r.randrange(65535)})"
    )


def _suricata(i: int, r: random.Random) -> str:
    return (
        f'{{"timestamp":"2026-03-02T11:{i % 60:02d}:30.123456+0000","flow_id":{i},"in_iface":"eth0","event_type":"flow",'
        f'"src_ip":"10.1.{r.randrange(250)}.7",'
        f'"src_port":{r.randrange(65535)},"dest_ip":"198.51.100.9","dest_port":443,"proto":"TCP","app_proto":"tls",'
        f'"flow":{{"pkts_toserver":12,"pkts_toclient":14,'
        f'"bytes_toserver":{r.randrange(99999)},"bytes_toclient":8812,"start":"2026-03-02T11:00:00.0+0000",'
        f'"state":"closed","reason":"timeout"}},"host":"ids1"}}'
    )


def _windows(i: int, r: random.Random) -> str:
    return (
        f'{{"@timestamp":"2026-03-02T11:{i % 60:02d}:30.250Z","agent":{{"type":"winlogbeat","name":"dc01"}},'
        f'"event":{{"code":"4625","provider":'
        '"Microsoft-Windows-Security-Auditing","kind":"event","outcome":"failure"},"host":{"name":"dc01.stadt.example"'
        '},"winlog":{"channel":"Security",'
        f'"event_id":"4625","provider_name":"Microsoft-Windows-Security-Auditing","computer_name":"dc01.stadt.example",'
        f'"event_data":{{"TargetUserName":"b.klein{i % 70}",'
        f'"TargetDomainName":"STADT","LogonType":"3","IpAddress":"10.1.{r.randrange(250)}.18",'
        f'"IpPort":"{r.randrange(65535)}","Status":"0xc000006d","SubStatus":"0xc000006a",'
        '"AuthenticationPackageName":"NTLM","WorkstationName":"WS17","SubjectUserName":"-"}},"message":"An account failed to log on."}'
    )


def _pairs(line: pl.Expr, keys: str) -> list[pl.Expr]:
    return [line.str.extract(rf'\b{key}="?([^" ]*)').alias(key) for key in keys.split()]


def _columns(line: pl.Expr, wanted: tuple[int, ...]) -> list[pl.Expr]:
    return [line.str.extract(r"(?:[^,]*,){" + str(c) + r"}([^,]*)").alias(str(c)) for c in wanted]


LINE = pl.col("line")
SSHD = r"^(\w+ +\d+ [\d:]+) (\S+) sshd\[(\d+)\]: Failed (\w+) for (?:invalid user )?(\S+) from (\S+) port (\d+)"
ASA = r"%ASA-\d-(\d+): Built (\w+) (\w+) connection \d+ for \w+:([\d.]+)/(\d+) .* to \w+:([\d.]+)/(\d+)"
FORTIGATE = "date time devname logid type action proto srcip srcport dstip dstport sentbyte rcvdbyte"

Line = Callable[[int, random.Random], str]
CASES: dict[str, tuple[Line, list[pl.Expr] | None]] = {
    "fortigate": (_fortigate, _pairs(LINE, FORTIGATE)),
    "netfilter": (_netfilter, _pairs(LINE, "SRC DST LEN PROTO SPT DPT")),
    "cef": (_cef, _pairs(LINE, "rt src spt dst dpt proto act suser dvchost in out")),
    "panos": (_panos, _columns(LINE, (3, 6, 7, 8, 12, 24, 25, 29, 30, 32, 33, 44))),
    "pfsense": (_pfsense, _columns(LINE, (6, 7, 8, 16, 18, 19, 20, 21))),
    "sshd": (_sshd, [LINE.str.extract_groups(SSHD)]),
    "cisco_asa": (_cisco_asa, [LINE.str.extract_groups(ASA)]),
    "suricata": (_suricata, None),
    "windows_security": (_windows, None),
}


def _rate(work: Callable[[], object]) -> float:
    """Lines a second of this thread's CPU time."""
    work()
    best = float("inf")
    for _ in range(REPEATS):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return N / best


def _polars(lines: list[str], expressions: list[pl.Expr] | None) -> Callable[[], object]:
    if expressions is None:
        text = "\n".join(lines).encode()
        return lambda: pl.read_ndjson(text)
    frame = pl.DataFrame({"line": lines})
    return lambda: frame.select(expressions)


def measure(name: str) -> tuple[int, float, float, float]:
    """(bytes a line, lines/s recognised, lines/s told, lines/s of polars)."""
    make, expressions = CASES[name]
    dice = random.Random(1)
    lines = [make(i, dice) for i in range(N)]
    records = of_lines([line.encode() for line in lines], Place("bench", 0), timestamp=NOON)
    rates = []
    for format_ in ("auto", name):
        decoder = Decoder.build([Topic(name="*", tenant="bench", format=format_)])
        assert len(decoder.decode(records).events) == N, f"{name}: not every line became an event"
        rates.append(_rate(partial(decoder.decode, records)))
    return len(lines[0]), rates[0], rates[1], _rate(_polars(lines, expressions))


def main() -> None:
    threads = os.environ.get("POLARS_MAX_THREADS", "all")
    print(
        f"decode, {N:,} records a batch, million lines a CPU second (polars threads: {threads}; its CPU time is counted over all of them)"
    )
    print(f"{'format':18}{'bytes':>6}{'auto':>8}{'told':>8}{'polars':>8}{'ratio':>7}{'goal':>7}")
    for name in CASES:
        size, auto, told, theirs = measure(name)
        goal = GOALS.get(name, JSON_GOAL)
        mark = "" if told >= goal else "  below the goal"
        print(
            f"{name:18}{size:6}{auto / 1e6:8.2f}{told / 1e6:8.2f}{theirs / 1e6:8.2f}{told / theirs:7.1f}{goal / 1e6:7.2f}{mark}", flush=True
        )


if __name__ == "__main__":
    main()
