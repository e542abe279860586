"""SHA-256 of the manifests of the models that we ship; `detector.learn.baseline` rewrites this file."""

TRUSTED: dict[str, str] = {
    "auth-service": "8e73aee998c84fbfd43992109703d0ecda0845eb10e42b41c9310bc8abab1192",
    "auth-source": "db0f6764188f15d0bf3b254e2781deae2d146c46b6fe88654473f2bb9649c2fd",
    "auth-user": "a1e3d238a1698b40fa0840f91ed176129de9602f2933ff325379851295e51386",
    "firewall-pair": "31435fa36dcbd4a7f3b4d9d1689a9f62fe96f1d69dd5b83a13a7978f0903f825",
    "firewall-source": "f1f4cb836e70a87e119c78ac3af781fa85098f9f470f44dfde5fa3375bc97f11",
}
