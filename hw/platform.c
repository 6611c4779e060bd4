#include "hw/platform.h"

Platform platform;
