"""SHA-256 of the manifests of the models that we ship; `detector.learn.baseline` rewrites this file."""

TRUSTED: dict[str, str] = {
    "auth-service": "6acd3d0bf6627aabf9aa05defe1f7209c0bda94995c332ff73d3303a3079a68e",
    "auth-source": "9076a58e1b99e6b39654eaae692ce444fb30a1d82f876b3bb142e973bbf4efd0",
    "auth-user": "67267f3ff0f97f5aacf7122044daf3ccf25eb6200bfa62e813d63e435f59563a",
    "firewall-pair": "cffd48adad2f4af614b0e602f67a4c5bc8bc797f31e897c00de970efbbbb24fd",
    "firewall-source": "49eb897f593a819a28a69534889f1c600cc8adf211dc735627763eaedb663242",
}
