"""Wrong command lines: each prints one line that names the option, exits with 1 and leaves nothing behind."""
import os
import shlex
import signal
import subprocess
import tempfile
import time
import unittest

import harness

# Words of the command line | what the line says.  disk, short and empty are files, . is a directory.
WRONG = r"""
-nope | -nope: invalid option
-hda | -hda: requires an argument
-M nope | -M nope: unsupported machine type
-M pc,nope=1 | nope' not found
-M pc,hpet=maybe | expected: on, off
-M pc,max-ram-below-4g=x | expected: a size
-accel nope | -accel: invalid accelerator
-accel kvm,nope=1 | no option "nope"
-accel kvm,kernel-irqchip=maybe | on, off, split
-accel soft,thread=some | single or multi
-accel soft,translate=some | on, off or eager
-accel tcg,colour=red | no option "colour"
-icount shift=11 | a number from 0 to 10, or auto
-icount 3,sleep=maybe | on or off
-icount auto,sleep=off | give a number
-icount 3,rr=record | not part of this version
-icount 3,colour=red | unknown parameter 'colour'
-icount 3 -accel qtest | only -accel soft counts
-cpu nope | -cpu nope: unable to find CPU model
-cpu qemu64,+nope | nope' not found
-cpu qemu64,level=x | 'level' expects
-smp 0 | expected: a number from 1
-smp 4,cores=3 | must not exceed maxcpus
-smp 300 | max CPUs supported
-M q35 -smp 288 | need CPUs with x2apic
-M q35 -smp 289 -cpu max | max CPUs supported
-smp 2,maxcpus=1 | -smp: cpus (2) must not exceed
-smp 2,nope=1 | expected: cpus, maxcpus
-m x | -m: size=x, expected
-m 0 | -m: size=0, expected
-m 99999999T | at most 4T
-m 64,slots=x | expected: 0 .. 256
-m 64,maxmem=32 | -m: maxmem=32
-m 64,nope=1 | expected: size, slots, maxmem
-boot z | -boot: order=z
-boot order=cc | given twice
-boot menu=x | expected: on, off
-boot nope=1 | expected: order, once
-boot splash-time=x | expected: milliseconds
-rtc base=x | expected: utc, localtime
-rtc clock=x | expected: host, rt, vm
-rtc driftfix=x | expected: none, slew
-uuid x | expected: a UUID
-name x,nope=1 | unknown parameter 'nope'
-drive file=nonexist | nonexist': No such file
-drive file=. | is a directory
-drive file=disk,if=nope | it accepts none, ide
-drive file=disk,format=nope | this build has raw
-drive file=disk,format=raw,nope=1 | 'nope'
-drive file=disk,format=raw,media=nope | it accepts disk, cdrom
-drive file=disk,format=raw,index=9 | no place for if=ide,bus=4,unit=1
-drive file=disk,format=raw,if=scsi | use if=none,id=ID with -device virtio-scsi-pci
-object iothread,id=t,poll-max-ns=-1 | are at least 0
-object iothread,id=t,thread-pool-max=0 | thread-pool-max is 0, expected: 1 to 1024
-object iothread,id=t,thread-pool-min=65 | expected: 0 to thread-pool-max, 64
-drive file=disk,format=raw,if=none,id=d -device virtio-blk-pci,drive=d,iothread=nope | of type iothread
-drive file=disk,format=raw,if=none,id=d -object iothread,id=a -object iothread,id=b -device '{"driver":"virtio-blk-pci","drive":"d","num-queues":2,"iothread-vq-mapping":[]}' | at least one element
-drive file=disk,format=raw,if=none,id=d -object iothread,id=a -object iothread,id=b -device '{"driver":"virtio-blk-pci","drive":"d","num-queues":2,"iothread-vq-mapping":"a"}' | a JSON list
-drive file=disk,format=raw,if=none,id=d -object iothread,id=a -object iothread,id=b -device '{"driver":"virtio-blk-pci","drive":"d","num-queues":2,"iothread-vq-mapping":[{"iothread":"a"},{"iothread":"c"}]}' | there is no object 'c'
-drive file=disk,format=raw,if=none,id=d -object iothread,id=a -object iothread,id=b -device '{"driver":"virtio-blk-pci","drive":"d","num-queues":2,"iothread-vq-mapping":[{"iothread":"a"},{"iothread":"a"}]}' | 'a' is named twice
-drive file=disk,format=raw,if=none,id=d -object iothread,id=a -object iothread,id=b -device '{"driver":"virtio-blk-pci","drive":"d","num-queues":2,"iothread-vq-mapping":[{"iothread":"a","vqs":[0]},{"iothread":"b"}]}' | all or none
-drive file=disk,format=raw,if=none,id=d -object iothread,id=a -object iothread,id=b -device '{"driver":"virtio-blk-pci","drive":"d","num-queues":2,"iothread-vq-mapping":[{"iothread":"a","vqs":[0,1]},{"iothread":"b","vqs":[1]}]}' | queue 1 is given twice
-drive file=disk,format=raw,if=none,id=d -object iothread,id=a -object iothread,id=b -device '{"driver":"virtio-blk-pci","drive":"d","num-queues":2,"iothread-vq-mapping":[{"iothread":"a","vqs":[0]}]}' | queue 1 is given to no iothread
-drive file=disk,format=raw,if=none,id=d -object iothread,id=a -object iothread,id=b -device '{"driver":"virtio-blk-pci","drive":"d","num-queues":2,"iothread-vq-mapping":[{"iothread":"a","vqs":[0,1,2]}]}' | queue 2 of iothread 'a', expected: 0 to 1
-drive file=disk,format=raw,if=none,id=d -object iothread,id=a -object iothread,id=b -device '{"driver":"virtio-blk-pci","drive":"d","num-queues":2,"iothread-vq-mapping":[{"iothread":"a","vqs":[0,1],"cpu":1}]}' | '[0].cpu' is unexpected
-drive file=disk,format=raw,if=none,id=d -object iothread,id=a -object iothread,id=b -device '{"driver":"virtio-blk-pci","drive":"d","num-queues":2,"iothread-vq-mapping":[{"vqs":[0,1]}]}' | '[0].iothread' is missing
-drive file=disk,format=raw,if=none,id=d -object iothread,id=a -object iothread,id=b -device '{"driver":"virtio-blk-pci","drive":"d","num-queues":2,"iothread":"a","iothread-vq-mapping":[{"iothread":"b"}]}' | expected: one of them
-drive file=disk,format=raw,if=none,id=d -object iothread,id=a -object iothread,id=b -device '{"driver":"virtio-blk-pci","drive":"d","num-queues":2,"serial":["x"]}' | 'serial', expected: a plain value
-drive file=disk,format=raw,if=none,id=d -device virtio-blk-pci,drive=d,iothread-vq-mapping.1.iothread=a | Parameter 'iothread-vq-mapping.0' missing
-object iothread,id=t -object iothread,id=t | Duplicate object ID 't'
-device virtio-scsi-pci -device scsi-hd | property drive is missing
-device virtio-scsi-pci -device scsi-cd,scsi-id=256 | expected: 0 to 255
-device virtio-scsi-pci,num_queues=0 | expected: 1 to 62
-drive file=disk,format=raw,index=0 -drive file=disk,format=raw,index=0 | -drive file=disk
-drive file=disk,format=raw,id=a -drive file=disk,format=raw,id=a,index=1 | 'a'
-M none -drive file=disk,format=raw | no place for if=ide
-hda nonexist | -hda nonexist
-cdrom . | is a directory
-fda nonexist | -fda nonexist
-drive file=empty,format=raw | smaller than one sector
-chardev nope,id=a | is not a back end
-chardev null | id= is missing
-chardev null,id=a -chardev null,id=a | already exists
-chardev socket,id=a | give path=
-chardev socket,id=a,path=/nonexist/x | /nonexist/x
-chardev file,id=a | no filename
-chardev null,id=a,nope=1 | Invalid parameter 'nope'
-object nope,id=a | invalid object type: nope (expected: iothread, memory-backend-file
-object memory-backend-ram,size=1M | Parameter 'id' is missing
-object memory-backend-ram,id=a | size is missing
-object memory-backend-ram,id=a,size=x | expected: a size
-object memory-backend-ram,id=a,size=1M,nope=1 | nope' not found
-object memory-backend-file,id=a,size=1M | mem-path is missing
-object memory-backend-file,id=a,size=1M,mem-path=/nonexist/x | /nonexist/x
-object memory-backend-ram,id=a,size=1M -object memory-backend-ram,id=a,size=1M | Duplicate object ID 'a'
-object memory-backend-ram,id=a,size=1M,policy=bind | policy=bind needs host-nodes
-object memory-backend-ram,id=a,size=1M,host-nodes=0 | host-nodes=0 needs a policy
-object memory-backend-ram,id=a,size=1M,host-nodes=3-1,policy=bind | numbers below 128
-object memory-backend-ram,id=a,size=1M,host-nodes=100,policy=bind | cannot bind it to the host's NUMA nodes
-object memory-backend-file,id=a,size=1M,mem-path=.,align=3000 | a power of two
-object memory-backend-memfd,id=a,size=1M,hugetlbsize=2M | needs hugetlb=on
-object memory-backend-ram,id=a,size=1M -m 16 -machine memory-backend=a | it has 1048576 bytes, -m says
-machine memory-backend=a | there is no object 'a', expected: the id of an object of type memory-backend
-numa node,mem=64 | the nodes have 67108864 bytes together
-numa node,mem=128,nope=1 | expected: nodeid, cpus, mem, memdev
-numa node,nodeid=1,mem=128 | node 0 is missing
-numa node,mem=128,cpus=1 | numbers below 1 (maxcpus)
-numa node,mem=128,initiator=0 | not built
-numa node,memdev=a | there is no object 'a'
-numa node,mem=128 -numa node,nodeid=0,mem=0 | described already
-numa node,mem=128 -numa dist,src=0,dst=1,val=20 | there is no node 1
-numa node,mem=64 -numa node,mem=64 -numa dist,src=0,dst=1,val=10 | 11 to 255
-numa node,mem=128 -numa cpu,node-id=0,socket-id=3 | expected: a number from 0 to 0
-numa hmat-lb | not built, expected: node, dist, cpu
-numa nope | expected: node, dist, cpu
-m 64,slots=2 | needs maxmem=
-m 64,maxmem=128 | needs slots=
-object memory-backend-ram,id=a,size=2M -device pc-dimm,memdev=a | expected: -m SIZE,slots=N,maxmem=SIZE and ACPI
-m 64,slots=1,maxmem=1G -device pc-dimm | memdev' is missing
-m 64,slots=1,maxmem=1G -device pc-dimm,memdev=a | there is no object 'a'
-m 64,slots=1,maxmem=1G -object memory-backend-ram,id=a,size=2M -device pc-dimm,memdev=a,node=1 | expected: 0 to 0
-machine nvdimm=on | not built
-device nvdimm | 'nvdimm' is not a valid device model name
-m 1T -cpu qemu64,phys-bits=40 | needs 41 address bits, the CPU has 40
-device nope | is not a valid device model name
-device nope,help | is not a valid device model name
-device VGA,nope=1 | 'VGA.nope' not found
-device VGA,vgamem_mb=x | VGA.vgamem_mb
-device VGA,addr=99 | SLOT
-device edu,addr=5 -device edu,addr=5 | slot 5 function 0 not available
-device VGA,bus=nope | Bus 'nope' not found
-device isa-serial,chardev=nope | can't find value 'nope'
-device ide-hd | No drive specified
-device ide-hd,drive=nope | can't find value 'nope'
-device isa-serial,index=9 | index=0 to 3
-device edu,id=a -device edu,id=a | Duplicate device ID 'a'
-device i8042 | expects a pluggable device type
-device floppy,unit=9 | units 0 and 1
-global x | expected: driver.property=value
-serial nope | accepted are none, null, stdio
-serial file:/nonexist/x | /nonexist/x
-serial null -serial null -serial null -serial null -serial null | 4 such ports
-mon chardev=nope | "nope" not found
-mon chardev=nope,mode=x | expected: readline, control
-display nope | none, curses
-vga nope | -vga nope: unknown adapter
-overcommit cpu-pm=on | expected: off
-overcommit mem=1 | mem-lock, cpu-pm
-kernel nonexist | nonexist
-kernel . | directory
-kernel short | -kernel: 'short' is neither
-initrd disk | only allowed with -kernel
-append x | only allowed with -kernel
-bios nonexist | nonexist
-bios empty | multiple of 64 KiB
-option-rom nonexist | nonexist
-fw_cfg name=opt/x,file=nonexist | nonexist
-smbios type=999 | expected: 0, 1
-acpitable data=nonexist | nonexist
-nic user | expected: -nic none
-action reboot=nope | expected: reset, shutdown
-watchdog-action nope | expected: reset, shutdown
-echr x | expected: 0 .. 255
-d nope | -d help lists them
-D /nonexist/x | /nonexist/x
-msg timestamp=x | expected: on, off
-pidfile /nonexist/x | -pidfile: cannot create PID file /nonexist/x
-qtest nope | -qtest:
-daemonize -nographic | cannot be used with -daemonize
-mem-path /nonexist/x | /nonexist/x
"""


class CommandLine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ostler-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name, data in (("disk", bytes(1 << 20)), ("short", b"MZ" * 100), ("empty", b"")):
            with open(os.path.join(self.folder, name), "wb") as f:
                f.write(data)

    def run_program(self, words):
        """Exit code and lines printed; without a CPU and stopped, unless the words say otherwise."""
        given = set(words)
        command = [harness.OSTLER, "-S"]
        for names, default in (({"-accel"}, ["-accel", "qtest"]), ({"-display", "-nographic"}, ["-display", "none"]),
                               ({"-m"}, ["-m", "16"])):
            if not names & given:
                command += default
        result = subprocess.run(command + words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=30)
        return result.returncode, [l for l in result.stdout.splitlines() if "warning:" not in l]

    def test_wrong(self):
        for line in WRONG.strip().splitlines():
            words, expected = (part.strip() for part in line.split(" | "))
            with self.subTest(words):
                code, printed = self.run_program(shlex.split(words))
                self.assertEqual(code, 1)
                self.assertEqual(len(printed), 1, printed)
                self.assertIn(expected, printed[0])

    def test_help(self):
        for words, expected in (("-help", "-machine"), ("-help", "QEMU emulator version 7"), ("-machine help", "pc-i440fx"),
                                ("-cpu help", "qemu64"),
                                ("-accel help", "kvm"), ("-device help", "isa-serial"), ("-device VGA,help", "vgamem_mb"),
                                ("-chardev help", "socket"), ("-display help", "curses"), ("-d help", "guest_errors"),
                                ("-version", "version"), ("-vga help", "std")):
            with self.subTest(words):
                code, printed = self.run_program(words.split())
                self.assertEqual(code, 0)
                self.assertIn(expected, "\n".join(printed))

    def test_doctor(self):
        result = subprocess.run([harness.OSTLER, "doctor"], stdout=subprocess.PIPE, text=True, timeout=30)
        for name in ("soft", "kvm", "memory", "huge pages", "io_uring", "tap", "bios", "uefi"):
            self.assertRegex(result.stdout, rf"(?m)^(ok|note|no) +{name} ")
        self.assertEqual(result.returncode, 0 if "A guest can run here." in result.stdout else 1)
        result = subprocess.run([harness.OSTLER, "doctor", "nonsense"], stderr=subprocess.PIPE, text=True, timeout=30)
        self.assertEqual((result.returncode, result.stderr),
                         (1, 'ostler: doctor takes no argument "nonsense": usage: ostler doctor\n'))

    def test_pidfile_goes_with_failed_start(self):
        code, _ = self.run_program(["-pidfile", "pid", "-device", "nope"])
        self.assertEqual(code, 1)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "pid")))

    def test_daemon_removes_its_pidfile(self):
        code, printed = self.run_program(["-daemonize", "-pidfile", "pid"])
        self.assertEqual((code, printed), (0, []))
        path = os.path.join(self.folder, "pid")
        with open(path, encoding="ascii") as f:
            os.kill(int(f.read()), signal.SIGTERM)
        end = time.monotonic() + 30
        while os.path.exists(path) and time.monotonic() < end:
            time.sleep(0.02)
        self.assertFalse(os.path.exists(path))


if __name__ == "__main__":
    harness.main()
