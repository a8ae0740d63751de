# Debian's and Ubuntu's kernel packages make no initial RAM disk then: trove-guest-tuning does.
export INITRD=No
# Before ubuntu-minimal takes the kernel of physical machines.
export DIB_UBUNTU_KERNEL=${DIB_UBUNTU_KERNEL:-linux-image-virtual}
