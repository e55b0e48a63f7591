#!/bin/sh
# Makes a Debian root file system boot as a kind node: what kind's own base image does in its
# RUN steps, then its images are preloaded. Runs inside that file system (chroot, own process and
# mount namespaces), after kind's files and the programs were copied in.
set -eu

cd /lib/systemd/system
find sysinit.target.wants -name systemd-tmpfiles-setup.service -delete
rm -f multi-user.target.wants/* local-fs.target.wants/* basic.target.wants/* \
  sockets.target.wants/*udev* sockets.target.wants/*initctl* /etc/systemd/system/*.wants/*
echo ReadKMsg=no >>/etc/systemd/journald.conf
ln -sf /usr/lib/systemd/systemd /sbin/init
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service

mkdir -p /opt/cni/bin /etc/kubernetes/manifests /usr/local/sbin
cp /usr/lib/cni/host-local /usr/lib/cni/loopback /usr/lib/cni/portmap /usr/lib/cni/bridge /opt/cni/bin/
ln -sf /usr/sbin/runc /usr/local/sbin/runc
ctr oci spec | jq '.hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}]
  | del(.process.rlimits)' >/etc/containerd/cri-base.json
# A host without CAP_SYS_RESOURCE cannot lower oom_score_adj, and runc dies trying.
sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/
  s#registry.k8s.io/pause:[0-9.]*#registry.k8s.io/pause:'"$PAUSE"'#' /etc/containerd/config.toml
# The kubelet refuses hosts with cgroup v1 unless it is told not to.
echo 'KUBELET_EXTRA_ARGS=--runtime-cgroups=/system.slice/containerd.service --fail-cgroupv1=false' \
  >/etc/default/kubelet
# These set fs.protected_* and kernel.*, which are not the container's but the whole machine's.
rm -f /usr/lib/sysctl.d/* /lib/sysctl.d/* /etc/sysctl.d/99-sysctl.conf

containerd >/tmp/containerd.log 2>&1 &
tries=0
until ctr version >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ $tries -lt 100 ] || { cat /tmp/containerd.log; exit 1; }
  sleep 0.2
done
ctr -n k8s.io images import --all-platforms --no-unpack --digests /control-plane.tar
kill $!
wait || true

rm -rf /control-plane.tar /prepare.sh /tmp/* /run/containerd /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/* \
  /usr/share/locale/*
