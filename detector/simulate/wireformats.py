"""The lines of each device as it writes them itself, as templates for `wire.Press`.

FortiGate: FortiOS 7.2 log reference. PAN-OS: the 10.1 CSV fields. netfilter: the kernel's LOG target as UFW labels it.
sshd, PAM and sudo: Debian's, once with RFC 3164 (bauhof) and once with RFC 5424 headers (leitstelle).
ASA: the message ids of the 9.x log reference. Entra: sign-in logs as diagnostic settings ship them. Keycloak: 24's JSON log.
Windows: winlogbeat 8, with its `message` dropped by a processor, as most who ship it to Kafka do.
"""

from __future__ import annotations

from collections.abc import Mapping

_FORTIGATE = (
    '<«pri:int»>date=«time:date» time=«time:clock» devname="fw-rathaus" devid="FG100FTK26000117" '
    'eventtime=«time:nanos» tz="«time:tz»" logid="'
)
_FLOW = (
    'type="traffic" subtype="forward" level="notice" vd="root" srcip=«src:ip» srcport=«sport:int» srcintf="«srcintf:text»" '
    'srcintfrole="«srcrole:text»" dstip=«dst:ip» dstport=«dport:int» dstintf="«dstintf:text»" dstintfrole="«dstrole:text»" '
)
_FLOW_END = (
    "trandisp=\"«nat:text»\" duration=«duration:int» sentbyte=«sent:int» rcvdbyte=«received:int» sentpkt=«sentpkt:int» "
    'rcvdpkt=«receivedpkt:int» appcat="unscanned"'
)  # fmt: skip
_VPN = 'type="event" subtype="vpn" level="«level:text»" vd="root" logdesc="«what:text»" action="«action:text»" '

FORTIGATE = {
    "fortigate.flow": _FORTIGATE + '0000000013" ' + _FLOW + 'srccountry="Reserved" dstcountry="«country:text»" '
    'sessionid=«session:int» proto=«proto:int» action="«action:text»" policyid=«policy:int» policytype="policy" '
    'poluuid="5f1c2a08-77d1-51ee-9c0e-4f7d2a6b9e10" service="«service:text»" ' + _FLOW_END,
    "fortigate.userflow": _FORTIGATE + '0000000013" ' + _FLOW + 'srccountry="Reserved" dstcountry="«country:text»" '
    'sessionid=«session:int» proto=«proto:int» action="«action:text»" policyid=«policy:int» policytype="policy" '
    'poluuid="5f1c2a08-77d1-51ee-9c0e-4f7d2a6b9e10" user="«user:text»" group="G-Internet" authserver="FSSO-STADT" '
    'service="«service:text»" ' + _FLOW_END,
    "fortigate.deny": _FORTIGATE + '0000000013" ' + _FLOW + 'srccountry="«srccountry:text»" dstcountry="«country:text»" '
    'sessionid=«session:int» proto=«proto:int» action="deny" policyid=0 policytype="policy" service="«service:text»" '
    'trandisp="noop" duration=0 sentbyte=0 rcvdbyte=0 sentpkt=0 appcat="unscanned" crscore=30 craction=131072 crlevel="high"',
    "fortigate.vpn_up": _FORTIGATE + '0101039947" ' + _VPN + 'tunneltype="ssl-tunnel" tunnelid=«tunnel:int» remip=«src:ip» '
    'tunnelip=«inner:ip» user="«user:text»" group="G-VPN" dst_host="N/A" reason="tunnel established" msg="SSL tunnel established"',
    "fortigate.vpn_down": _FORTIGATE + '0101039948" ' + _VPN + 'tunneltype="ssl-tunnel" tunnelid=«tunnel:int» remip=«src:ip» '
    'tunnelip=«inner:ip» user="«user:text»" group="G-VPN" dst_host="N/A" reason="User requested termination of service" '
    'duration=«duration:int» sentbyte=«sent:int» rcvdbyte=«received:int» msg="SSL tunnel shutdown"',
    "fortigate.vpn_fail": _FORTIGATE + '0101039426" ' + _VPN + 'tunneltype="ssl-web" tunnelid=0 remip=«src:ip» '
    'user="«user:text»" group="N/A" dst_host="N/A" reason="«reason:text»" msg="SSL user failed to logged in"',
    "fortigate.admin": _FORTIGATE + '0100032001" type="event" subtype="system" level="information" vd="root" '
    'logdesc="Admin login successful" sn="«session:int»" user="«user:text»" ui="https(«src:ip»)" method="https" srcip=«src:ip» '
    'dstip=«dst:ip» action="login" status="success" reason="none" profile="super_admin" '
    'msg="Administrator «user:text» logged in successfully from https(«src:ip»)"',
    "fortigate.admin_fail": _FORTIGATE + '0100032002" type="event" subtype="system" level="alert" vd="root" '
    'logdesc="Admin login failed" sn="0" user="«user:text»" ui="https(«src:ip»)" method="https" srcip=«src:ip» '
    'dstip=«dst:ip» action="login" status="failed" reason="passwd_invalid" '
    'msg="Administrator «user:text» login failed from https(«src:ip») because of invalid password"',
}

_PANOS = "<14>«time:syslog» pa-leitstelle 1,«time:slashed»,013201026117,"
_PANOS_TRAFFIC = (
    "«time:slashed»,«src:ip»,«dst:ip»,«natsrc:ip»,«natdst:ip»,«rule:text»,«user:text»,,«app:text»,vsys1,«from:text»,«to:text»,"
    "«inif:text»,«outif:text»,to-kafka,«time:slashed»,«session:int»,1,«sport:int»,«dport:int»,«natsport:int»,0,"
)
_PANOS_TAIL = "0,0,0,0,,pa-leitstelle,from-policy,,,0,,0,,N/A,0,0,0,0,6b0c3f2e-1d55-4a39-8f0a-2f1f7f5d0c11,0,0,,,,,,,"
_GLOBALPROTECT = (
    "GLOBALPROTECT,0,2561,«time:slashed»,vsys1,«event:text»,«stage:text»,LDAP,,«user:text»,DE,«machine:text»,«src:ip»,0.0.0.0,"
    '«inner:ip»,0.0.0.0,«machine:text»,,6.2.1,Windows,"Microsoft Windows 11 Pro , 64-bit",1,,,"«why:text»",«status:text»,,'
    "«duration:int»,,0,GP-Leitstelle,«session:int»,0x0"
)
PANOS = {
    "panos.flow": _PANOS + "TRAFFIC,end,2561," + _PANOS_TRAFFIC + "0x400053,«transport:text»,allow,«bytes:int»,«sent:int»,"
    "«received:int»,«packets:int»,«begin:slashed»,«duration:int»,any,,«sequence:int»,0x0,10.0.0.0-10.255.255.255,"
    "«country:text»,,«sentpkt:int»,«receivedpkt:int»,«reason:text»," + _PANOS_TAIL,
    "panos.deny": _PANOS + "TRAFFIC,drop,2561," + _PANOS_TRAFFIC + "0x0,«transport:text»,deny,60,60,0,1,«time:slashed»,0,any,,"
    "«sequence:int»,0x0,«srccountry:text»,«country:text»,,1,0,policy-deny," + _PANOS_TAIL,
    "panos.globalprotect": _PANOS + _GLOBALPROTECT,
    "panos.admin": _PANOS + "SYSTEM,auth,2561,«time:slashed»,,auth-success,ADM-AUTH,0,0,general,informational,"
    "\"authenticated for user '«user:text»'.   auth profile 'ADM-AUTH', vsys 'shared', server profile 'LDAP-SW', "
    "server address '10.30.10.10', admin role 'superuser', From: «src:ip».\",«sequence:int»,0x0,0,0,0,0,,pa-leitstelle,0,0,«time:iso»",
    "panos.admin_fail": _PANOS + "SYSTEM,auth,2561,«time:slashed»,,auth-fail,ADM-AUTH,0,0,general,medium,"
    "\"failed authentication for user '«user:text»'.  Reason: Invalid username/password. auth profile 'ADM-AUTH', vsys 'shared', "
    "server profile 'LDAP-SW', server address '10.30.10.10', From: «src:ip».\",«sequence:int»,0x0,0,0,0,0,,pa-leitstelle,0,0,«time:iso»",
}

_UFW = "<4>«time:syslog» gw-bauhof kernel: [«time:uptime»] [UFW «verdict:text»] IN=«in:text» OUT=«out:text» "
_MAC = "MAC=02:00:5e:10:00:0«mac:int»:02:00:5e:10:00:fe:08:00 SRC=«src:ip» DST=«dst:ip» LEN=«length:int» TOS=0x00 PREC=0x00 "
NETFILTER = {
    "netfilter.tcp": _UFW + _MAC + "TTL=«ttl:int» ID=«id:int» DF PROTO=TCP SPT=«sport:int» DPT=«dport:int» WINDOW=«window:int» "
    "RES=0x00 SYN URGP=0 ",
    "netfilter.udp": _UFW + _MAC + "TTL=«ttl:int» ID=«id:int» PROTO=UDP SPT=«sport:int» DPT=«dport:int» LEN=«payload:int» ",
}

_ASA = "<166>«time:syslog» asa-rathaus : %ASA-"
_PEER = "«from:text»:«src:ip»/«sport:int»"
_VPN_USER = "Group <GP-Bauhof> User <«user:text»> IP <«src:ip»> "
ASA = (
    {
        f"asa.built_{kind.lower()}": _ASA
        + f"6-{code}: Built inbound {kind} connection «connection:int» for {_PEER} («src:ip»/«sport:int») to "
        "«to:text»:«dst:ip»/«dport:int» («dst:ip»/«dport:int»)"
        for kind, code in (("TCP", 302013), ("UDP", 302015))
    }
    | {
        f"asa.teardown_{kind.lower()}": _ASA + f"6-{code}: Teardown {kind} connection «connection:int» for {_PEER} to "
        "«to:text»:«dst:ip»/«dport:int» duration «duration:span» bytes «bytes:int» «end:text»"
        for kind, code in (("TCP", 302014), ("UDP", 302016))
    }
    | {
        "asa.deny": _ASA + f'4-106023: Deny «lower:text» src {_PEER} dst «to:text»:«dst:ip»/«dport:int» by access-group "rz_in" [0x0, 0x0]',
        "asa.vpn_fail": _ASA + "6-113005: AAA user authentication Rejected : reason = AAA failure : server = 10.10.10.10 : "
        "user = «user:text» : user IP = «src:ip»",
        "asa.vpn_aaa": _ASA + "6-113004: AAA user authentication Successful : server = 10.10.10.10 : user = «user:text»",
        "asa.vpn_up": _ASA + "6-113039: " + _VPN_USER + "AnyConnect parent session started.",
        "asa.vpn_address": _ASA + "4-722051: " + _VPN_USER + "IPv4 Address <«inner:ip»> IPv6 address <::> assigned to session",
        "asa.vpn_down": _ASA + "4-113019: Group = GP-Bauhof, Username = «user:text», IP = «src:ip», Session disconnected. Session Type: "
        "AnyConnect-Parent, Duration: «duration:span», Bytes xmt: «sent:int», Bytes rcv: «received:int», Reason: User Requested",
    }
)

_SIGN_IN = (
    '{"time":"«time:utc»","resourceId":"/tenants/«realm:text»/providers/Microsoft.aadiam","operationName":"Sign-in activity",'
    '"operationVersion":"1.0","category":"«category:text»","tenantId":"«realm:text»","resultType":"«code:int»",'
    '"callerIpAddress":"«src:ip»","correlationId":"«correlation:hex»","level":4,"properties":{"createdDateTime":"«time:utc»",'
    '"userDisplayName":"","userPrincipalName":"«mailbox:text»","userId":"«subject:text»","appDisplayName":"«app:text»",'
    '"ipAddress":"«src:ip»","clientAppUsed":"«client:text»","conditionalAccessStatus":"«access:text»",'
    '"authenticationRequirement":"«factors:text»","status":{"errorCode":«code:int»},"deviceDetail":{"operatingSystem":"«system:text»"}}}'
)
_KEYCLOAK = (
    '{"timestamp":"«time:utc»","sequence":«sequence:int»,"loggerName":"org.keycloak.events","level":"«level:text»","hostName":"sso-rathaus",'
    '"message":"type=\\"«type:text»\\", realmId=\\"stadt\\", clientId=\\"«app:text»\\", userId=\\"«subject:text»\\", '
    'ipAddress=\\"«src:ip»\\", '
)
CLOUD = {
    "entra.sign_in": _SIGN_IN,
    "keycloak.login": _KEYCLOAK + 'auth_method=\\"openid-connect\\", auth_type=\\"code\\", response_mode=\\"query\\", '
    'username=\\"«user:text»\\""}',
    "keycloak.token": _KEYCLOAK + 'grant_type=\\"authorization_code\\", scope=\\"openid profile email\\", username=\\"«user:text»\\""}',
    "keycloak.error": _KEYCLOAK + 'error=\\"«why:text»\\", auth_method=\\"openid-connect\\", auth_type=\\"code\\", '
    'username=\\"«user:text»\\""}',
}

_MESSAGES = {
    "sshd": {
        "invalid": "Invalid user «user:text» from «src:ip» port «sport:int»",
        "pam_unknown": "pam_unix(sshd:auth): check pass; user unknown",
        "pam_fail_unknown": "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=«src:ip» ",
        "pam_fail": "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=«src:ip»  user=«user:text»",
        "failed": "Failed password for «user:text» from «src:ip» port «sport:int» ssh2",
        "failed_unknown": "Failed password for invalid user «user:text» from «src:ip» port «sport:int» ssh2",
        "repeated": "message repeated 2 times: [ Failed password for «user:text» from «src:ip» port «sport:int» ssh2]",
        "pam_more": "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=«src:ip»  user=«user:text»",
        "bye": "Received disconnect from «src:ip» port «sport:int»:11: Bye Bye [preauth]",
        "gone": "Disconnected from authenticating user «user:text» «src:ip» port «sport:int» [preauth]",
        "gone_unknown": "Disconnected from invalid user «user:text» «src:ip» port «sport:int» [preauth]",
        "closed": "Connection closed by «src:ip» port «sport:int» [preauth]",
        "password": "Accepted password for «user:text» from «src:ip» port «sport:int» ssh2",
        "publickey": "Accepted publickey for «user:text» from «src:ip» port «sport:int» ssh2: "
        "ED25519 SHA256:«key:text»",
        "opened": "pam_unix(sshd:session): session opened for user «user:text»(uid=«uid:int») by (uid=0)",
        "ended": "pam_unix(sshd:session): session closed for user «user:text»",
        "left": "Disconnected from user «user:text» «src:ip» port «sport:int»",
    },
    "sudo": {
        "command": "«user:text» : TTY=pts/0 ; PWD=/home/«user:text» ; USER=root ; COMMAND=«command:text»",
        "opened": "pam_unix(sudo:session): session opened for user root(uid=0) by «user:text»(uid=«uid:int»)",
        "closed": "pam_unix(sudo:session): session closed for user root",
    },
    "CRON": {
        "opened": "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
        "closed": "pam_unix(cron:session): session closed for user root",
    },
}  # fmt: skip


def _linux() -> dict[str, str]:
    """Every message under the headers of both sites; `bsd` is RFC 3164, `ietf` is RFC 5424. sudo names no pid."""
    lines = {}
    for program, messages in _MESSAGES.items():
        pid, procid = ("", "-") if program == "sudo" else ("[«pid:int»]", "«pid:int»")
        for name, message in messages.items():
            spaced = "  " + message if program == "sudo" else message
            lines[f"{program}.bsd.{name}"] = f"<86>«time:syslog» «host:text» {program}{pid}: {spaced}"
            lines[f"{program}.ietf.{name}"] = f"<86>1 «time:iso» «host:text» {program} {procid} - - {spaced}"
    return lines


_EVENTS = {  # event id -> (task, outcome, event_data)
    "4624": ("Logon", "success", {
        "SubjectUserSid": "S-1-0-0", "SubjectUserName": "-", "SubjectDomainName": "-", "SubjectLogonId": "0x0",
        "TargetUserSid": "«sid:text»", "TargetUserName": "«user:text»", "TargetDomainName": "«domain:text»",
        "TargetLogonId": "«logon:hex»", "LogonType": "«type:int»", "LogonProcessName": "«package:text»",
        "AuthenticationPackageName": "«package:text»", "WorkstationName": "«workstation:text»", "TransmittedServices": "-",
        "LmPackageName": "-", "KeyLength": "0", "ProcessId": "0x0", "ProcessName": "-", "IpAddress": "«src:ip»",
        "IpPort": "«sport:int»", "ElevatedToken": "%%1842"}),
    "4625": ("Logon", "failure", {
        "SubjectUserSid": "S-1-0-0", "SubjectUserName": "-", "SubjectDomainName": "-", "SubjectLogonId": "0x0",
        "TargetUserSid": "S-1-0-0", "TargetUserName": "«user:text»", "TargetDomainName": "«domain:text»", "Status": "0xc000006d",
        "FailureReason": "%%2313", "SubStatus": "«status:hex»", "LogonType": "«type:int»", "LogonProcessName": "NtLmSsp ",
        "AuthenticationPackageName": "NTLM", "WorkstationName": "«workstation:text»", "TransmittedServices": "-",
        "LmPackageName": "-", "KeyLength": "0", "ProcessId": "0x0", "ProcessName": "-", "IpAddress": "«src:ip»",
        "IpPort": "«sport:int»"}),
    "4634": ("Logoff", "success", {
        "TargetUserSid": "«sid:text»", "TargetUserName": "«user:text»", "TargetDomainName": "«domain:text»",
        "TargetLogonId": "«logon:hex»", "LogonType": "«type:int»"}),
    "4672": ("Special Logon", "success", {
        "SubjectUserSid": "«sid:text»", "SubjectUserName": "«user:text»", "SubjectDomainName": "«domain:text»",
        "SubjectLogonId": "«logon:hex»",
        "PrivilegeList": "SeSecurityPrivilege\\n\\t\\t\\tSeBackupPrivilege\\n\\t\\t\\tSeRestorePrivilege\\n\\t\\t\\tSeDebugPrivilege"}),
    "4768": ("Kerberos Authentication Service", "success", {
        "TargetUserName": "«user:text»", "TargetDomainName": "«domain:text»", "TargetSid": "«sid:text»", "ServiceName": "krbtgt",
        "ServiceSid": "S-1-5-21-3623811015-3361044348-30300820-502", "TicketOptions": "0x40810010", "Status": "0x0",
        "TicketEncryptionType": "0x12", "PreAuthType": "2", "IpAddress": "::ffff:«src:ip»", "IpPort": "«sport:int»",
        "CertIssuerName": "", "CertSerialNumber": "", "CertThumbprint": ""}),
    "4769": ("Kerberos Service Ticket Operations", "success", {
        "TargetUserName": "«principal:text»", "TargetDomainName": "«domain:text»", "ServiceName": "«service:text»",
        "ServiceSid": "S-1-5-21-3623811015-3361044348-30300820-1108", "TicketOptions": "0x40810000",
        "TicketEncryptionType": "«cipher:hex»", "IpAddress": "::ffff:«src:ip»", "IpPort": "«sport:int»", "Status": "0x0",
        "LogonGuid": "{1f6a2c9e-0b3d-5e57-8a44-6d0c51f0b7e2}", "TransmittedServices": "-"}),
    "4771": ("Kerberos Authentication Service", "failure", {
        "TargetUserName": "«user:text»", "TargetSid": "«sid:text»", "ServiceName": "krbtgt/«domain:text»",
        "TicketOptions": "0x40810010", "Status": "«status:hex»", "PreAuthType": "2", "IpAddress": "::ffff:«src:ip»",
        "IpPort": "«sport:int»", "CertIssuerName": "", "CertSerialNumber": "", "CertThumbprint": ""}),
    "4776": ("Credential Validation", "«outcome:text»", {
        "PackageName": "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0", "TargetUserName": "«user:text»",
        "Workstation": "«workstation:text»", "Status": "«status:hex»"}),
}  # fmt: skip


def _windows() -> dict[str, str]:
    lines = {}
    for code, (task, outcome, data) in _EVENTS.items():
        fields = ",".join(f'"{key}":"{value}"' for key, value in data.items())
        keyword = {"success": "Audit Success", "failure": "Audit Failure"}.get(outcome, "«keyword:text»")
        lines[f"windows.{code}"] = (
            '{"@timestamp":"«time:utc»","@metadata":{"beat":"winlogbeat","type":"_doc","version":"8.14.1"},'
            '"host":{"name":"«host:text»"},"log":{"level":"information"},'
            f'"event":{{"code":"{code}","kind":"event","provider":"Microsoft-Windows-Security-Auditing",'
            f'"action":"{task}","outcome":"{outcome}","created":"«time:utc»"}},'
            '"winlog":{"channel":"Security","provider_name":"Microsoft-Windows-Security-Auditing",'
            '"provider_guid":"{54849625-5478-4994-a5ba-3e3b0328c30d}","computer_name":"«host:text»",'
            f'"event_id":"{code}","record_id":"«record:int»","task":"{task}","opcode":"Info","keywords":["{keyword}"],'
            '"api":"wineventlog","process":{"pid":724,"thread":{"id":5120}},'
            f'"event_data":{{{fields}}}}},'
            '"ecs":{"version":"8.0.0"},"agent":{"type":"winlogbeat","version":"8.14.1","name":"«host:text»"}}'
        )
    return lines


TEMPLATES: Mapping[str, str] = {**FORTIGATE, **PANOS, **NETFILTER, **ASA, **CLOUD, **_linux(), **_windows()}
