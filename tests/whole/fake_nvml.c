/* A driver library with one GPU, for tests: what it tells comes from files of
 * the folder FAKE_GPU. `processes` has lines `pid bytes`. The GPU takes 300 W. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OK = 0, INVALID_ARGUMENT = 2, INSUFFICIENT_SIZE = 7 };

typedef struct { unsigned pid; unsigned long long bytes; unsigned instance, compute; } Process;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Utilization;

static FILE *file(const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", getenv("FAKE_GPU"), name);
  return fopen(path, "r");
}

int nvmlInit_v2(void) { return OK; }
int nvmlShutdown(void) { return OK; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
  *device = (void *)&nvmlDeviceGetCount_v2;
  return index == 0 ? OK : INVALID_ARGUMENT;
}
int nvmlDeviceGetUUID(void *device, char *text, unsigned size) {
  snprintf(text, size, "GPU-11111111-2222");
  return OK;
}
int nvmlDeviceGetName(void *device, char *text, unsigned size) {
  snprintf(text, size, "Fake H100");
  return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, Process *list) {
  FILE *lines = file("processes");
  unsigned room = *count, found = 0, pid;
  unsigned long long bytes;
  if (lines) {
    while (fscanf(lines, "%u %llu", &pid, &bytes) == 2) {
      if (found < room && list) list[found] = (Process){pid, bytes, 0, 0};
      found++;
    }
    fclose(lines);
  }
  *count = found;
  return found > room ? INSUFFICIENT_SIZE : OK;
}
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
  *milliwatts = 300000;
  return OK;
}
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  *millijoules = now.tv_sec * 300000ULL + now.tv_nsec * 300ULL / 1000000;
  return OK;
}
int nvmlDeviceGetClockInfo(void *device, unsigned kind, unsigned *mhz) {
  *mhz = kind == 1 ? 1980 : 2619;
  return OK;
}
int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *celsius) {
  *celsius = 61;
  return OK;
}
int nvmlDeviceGetMemoryInfo_v2(void *device, Memory *memory) {
  memory->total = 80ULL << 30;
  memory->used = 70ULL << 30;
  memory->free = 10ULL << 30;
  return OK;
}
int nvmlDeviceGetUtilizationRates(void *device, Utilization *rates) {
  *rates = (Utilization){97, 50};
  return OK;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons) {
  *reasons = 4; /* software power cap */
  return OK;
}
