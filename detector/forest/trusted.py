"""SHA-256 of the manifests of the models that we ship; `detector.learn.baseline` rewrites this file."""

TRUSTED: dict[str, str] = {
    "auth-service": "f19ff4cfa911fdb5358a7ae189b7865dbd1d22b25e3ac50d45ceb65af0ce592e",
    "auth-source": "2584bd5f932c58046fa5fc491d266851b3afe1c81936df59009479f9bfc2b036",
    "auth-user": "bf8a733a29b813c49d3a82d19ec4c7dfa3db75ece999e33d296461819fc06314",
    "firewall-pair": "d8b391cf1c7b7c5b438ed2cf65d617f92fede0e3605c5313d3f953ed384fe171",
    "firewall-source": "898409c6bffd3d9f5d3724aa3a65753d09d666bee07579d1dc2e6788df47cd21",
}
