"""SHA-256 of the manifests of the models that we ship; `detector.learn.baseline` rewrites this file."""

TRUSTED: dict[str, str] = {
    "auth-service": "81d2ea7219e29fc139c798493f591a3d1e9692a3878af538ea14b5f7590b1f57",
    "auth-source": "db0f6764188f15d0bf3b254e2781deae2d146c46b6fe88654473f2bb9649c2fd",
    "auth-user": "db8a2292fdd425005590217d32bfa32021ed3157d78aebb5c97c9abb5dc3e521",
    "firewall-pair": "31435fa36dcbd4a7f3b4d9d1689a9f62fe96f1d69dd5b83a13a7978f0903f825",
    "firewall-source": "f1f4cb836e70a87e119c78ac3af781fa85098f9f470f44dfde5fa3375bc97f11",
}
