// The library brings the code; SwiftPM wants a file to compile.
#include "footpath_track.h"
