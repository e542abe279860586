"""SHA-256 of the manifests of the models that we ship; `detector.learn.baseline` rewrites this file."""

TRUSTED: dict[str, str] = {
    "auth-service": "af1b0eaac8efb35d239794ffe4593c9924dd01058734a1f09026d820471d9994",
    "auth-source": "175299f8827e1723173602620213750e055a1db1430430dc4a6164987f5de762",
    "auth-user": "a1c5757f131c54cff52794bfe1dc5d2a75683d57dced3e0f155dc7f79b7210c2",
    "firewall-pair": "ace408b8287fb6effcb78dc8cb922bab7ecb5604cb9db3d2d5097700dc4eeb6d",
    "firewall-source": "29415b954f14885599ca9584889142894946df92dfea7d6a3c9d53af2be817c5",
}
