package io.footpath

import kotlinx.coroutines.channels.BufferOverflow
import kotlinx.coroutines.flow.MutableSharedFlow

/** Makes the flow of problems when it is first needed: loading coroutines takes longer than all the rest of a start. */
internal class Problems {
    private var flow: MutableSharedFlow<Problem>? = null

    @Synchronized
    fun flow(): MutableSharedFlow<Problem> {
        val made = flow ?: MutableSharedFlow(replay = 16, onBufferOverflow = BufferOverflow.DROP_OLDEST)
        flow = made
        return made
    }
}
