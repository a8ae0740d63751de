# Debian's kernel packages make no initial RAM disk then: trove-guest-tuning does.
export INITRD=No
