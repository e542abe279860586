"""SHA-256 of the manifests of the models that we ship; `detector.learn.baseline` rewrites this file."""

TRUSTED: dict[str, str] = {
    "auth-service": "f19ff4cfa911fdb5358a7ae189b7865dbd1d22b25e3ac50d45ceb65af0ce592e",
    "auth-source": "2584bd5f932c58046fa5fc491d266851b3afe1c81936df59009479f9bfc2b036",
    "auth-user": "e0cbdf41c6bfbeaa49c118cc7fd08388e65894f0fb2110b0f06bacfee402b655",
    "firewall-pair": "d8b391cf1c7b7c5b438ed2cf65d617f92fede0e3605c5313d3f953ed384fe171",
    "firewall-source": "e678feaef8299f1f5c6e86466ed1f61cf9a638b5423ffb7dedac271b40f64e07",
}
