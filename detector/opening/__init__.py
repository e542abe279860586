"""Opening names: one person asks for those of one incident, a second of another group agrees, and only the first can read them.

1. `requests.ask`      signs what is asked for: incident, case, reason, and the tokens of that incident.
2. `approval.approve`  a person of another group checks the signature and hands over, for exactly these tokens, the shares of the rows'
                       keys that the requester lacks, sealed to the requester's key (`requests.refuse` says no).
3. `names.unlock`      the requester puts both halves together with the own key, and lays the names down sealed under a code.
4. `names.view`        the page shows them to the requester, who gives the code; when the time is up, `chores` delete what was laid down.

So neither the database nor the daemon ever holds what opens a name. Every step is a row of the audit log.
`auskunft` answers a person who asks what is held about them; it takes two keys as well.
"""
