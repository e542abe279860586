"""SHA-256 of the manifests of the models that we ship; `detector.learn.baseline` rewrites this file."""

TRUSTED: dict[str, str] = {
    "auth-service": "81d2ea7219e29fc139c798493f591a3d1e9692a3878af538ea14b5f7590b1f57",
    "auth-source": "db0f6764188f15d0bf3b254e2781deae2d146c46b6fe88654473f2bb9649c2fd",
    "auth-user": "db8a2292fdd425005590217d32bfa32021ed3157d78aebb5c97c9abb5dc3e521",
    "firewall-pair": "43acb828e67382220fbf6a8caf95d404a4be5b255c1e16b0982fcd17f0c66081",
    "firewall-source": "e418a7d77f18219270d7c60e9d0fc26ab131f25476ce66b5671f549ff5ee25e6",
}
