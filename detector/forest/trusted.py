"""SHA-256 of the manifests of the models that we ship; `detector.learn.baseline` rewrites this file."""

TRUSTED: dict[str, str] = {
    "auth-service": "a1d07302521459a6f52c4e46964f6c99fb1457ef9b68109973b875a5d3cbe0a1",
    "auth-source": "2913f028ddc87d868d3dead9609471abe26dd99c6de8cbb060b79c8a7f4aeb2b",
    "auth-user": "e960941d64764092afad6ed75e1264eef7943a2d481c754bd7fd6423a6c2d3ea",
    "firewall-pair": "eb65e2719319ed28ce93ac67d7b6d6e893a26a3564aa14b489ec48f184b99916",
    "firewall-source": "ce6bb7ca08dd25167479358ad1857d42dd3bd21aa3d2c44b2710361aeb65089d",
}
