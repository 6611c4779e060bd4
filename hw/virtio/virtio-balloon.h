/* virtio-balloon: memory that the guest lends back to the host (virtio 1.2 §5.5).  A machine has one at most; the functions
 * are for monitors.  Main lock held. */
#ifndef HW_VIRTIO_VIRTIO_BALLOON_H
#define HW_VIRTIO_VIRTIO_BALLOON_H

#include "hw/virtio/virtio.h"

enum { BALLOON_STATS = 10 };
typedef struct VirtioBalloon {
    VirtioDevice v;
    /* properties */
    bool deflate_on_oom, free_page_reporting;
    uint32_t poll_interval;             /* s; 0: statistics are not asked for */
    /* state */
    uint32_t num_pages, actual;         /* 4 KiB pages that the balloon shall have, and has */
    uint64_t stats[BALLOON_STATS];      /* by tag; UINT64_MAX: not told */
    int64_t stats_at;                   /* seconds since 1970 when they came; 0: never */
    bool stats_wanted;
    Timer poll;
} VirtioBalloon;

extern const DeviceClass virtio_balloon_class;

VirtioBalloon *virtio_balloon(void);    /* the machine's, or NULL */
int64_t virtio_balloon_actual(const VirtioBalloon *s);  /* bytes that the guest has now */
void virtio_balloon_set(VirtioBalloon *s, uint64_t bytes);      /* that it shall have; 0 < bytes */
void virtio_balloon_poll(VirtioBalloon *s, uint32_t seconds);   /* how often it is asked for statistics; 0: never */
/* What tools read as the property guest-stats: numbers by name ("stat-free-memory"; -1: not told), and when they came. */
struct json_object *virtio_balloon_stats(const VirtioBalloon *s);

#endif
