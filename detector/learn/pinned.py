"""SHA-256 of the simulated priors that we ship; `detector.learn.baseline` rewrites this file."""

PRIORS: dict[str, str] = {
    "auth-service": "7f0e47000e02d97c352a2cbee4a21ab625437d7c5e1c7d3541c1114351a92e6f",
    "auth-source": "8856d2b23a28de4bde3c9380e6ef8309c649fe7eaf2527a8719dbf22db1c8dc9",
    "auth-user": "c5c2986c34857ce34a2f5f39c18c2e21fe6ba33a0021d41b16396094f20c392c",
    "firewall-pair": "eebcf850df4443c3371be7dc3ddc75fe8a481cd431805b0f9471f8f36dbf332e",
    "firewall-source": "3ea931624d98991a34e71751e34d0ce98b617e7b7995ef9bfd0fc8a60d324dfb",
}
