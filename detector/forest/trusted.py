"""SHA-256 of the manifests of the models that we ship; `detector.learn.baseline` rewrites this file."""

TRUSTED: dict[str, str] = {
    "auth-service": "6daf67a1aee15b68fc83b54c437142af3d5a7bab37ef7ab8376390e5e2a950e3",
    "auth-source": "c372c1927ada9aac188cf0f1ceaefe473e71cccdc6224a2fa5f3d15ac2f8cde1",
    "auth-user": "689a5c8f71cb334745eb89fc3add6971c40b6bc0d58ca8f70d74d5f0eff8b158",
    "firewall-pair": "5fd3a3e501b753c768b736c86260df467c3db9f62bbb2d508f6d7f21c392df50",
    "firewall-source": "7fbc010974b52036e569f320838ad9e5d8305d301c6b954e952c4c020422aa71",
}
