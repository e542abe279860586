"""SHA-256 of the simulated priors that we ship; `detector.learn.baseline` rewrites this file."""

PRIORS: dict[str, str] = {
    "auth-service": "496ba9cb7f58c7f70fa7f8d776c87a4e3632372507402abc55bbf3f0f9e8511f",
    "auth-source": "4b374ef78d06f227fe02782fd917bdfc751e03945b31072ee8658643545d66d9",
    "auth-user": "f519cea0055dc891648f6d079df5989cd8cb49cfa9c5c4f7a25800f0f8707e98",
    "firewall-pair": "4d613bed000374527af6c20d375dfa5421560362fa50932dc86b3f321158aa39",
    "firewall-source": "1d2e82f24ccd8e00df627123638ec221a3c9c7f152151147aa90fb9ca5811991",
}
