package com.example.shop;

import static org.junit.Assert.assertEquals;
import static org.robolectric.Shadows.shadowOf;

import android.app.job.JobScheduler;
import android.os.Looper;
import org.junit.BeforeClass;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;

/** Somebody buys something. In Java, because Kotlin's library is a part of what was shrunk. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34)
public class Visit {
    @BeforeClass
    public static void keystore() {
        StandInKeystore.install();
    }

    @Test
    public void buys() throws InterruptedException {
        ActivityController<ShopActivity> shop = Robolectric.buildActivity(ShopActivity.class).setup();
        shop.get().getCart().performClick();
        shop.get().getCart().performClick();
        shop.get().getPay().performClick();
        String told = "";
        for (int i = 0; i < 3_000 && told.isEmpty(); i++) {
            Thread.sleep(10);
            shadowOf(Looper.getMainLooper()).idle();
            told = shop.get().getTold().getText().toString();
        }
        assertEquals("Paid, and the server knows", told);
        shop.pause().stop();
        // The job is ordered, and withdrawn when everything has arrived.
        JobScheduler jobs = RuntimeEnvironment.getApplication().getSystemService(JobScheduler.class);
        boolean ordered = false;
        for (int i = 0; i < 2_000 && !(ordered && jobs.getAllPendingJobs().isEmpty()); i++) {
            ordered |= !jobs.getAllPendingJobs().isEmpty();
            Thread.sleep(1);
        }
        assertEquals(0, jobs.getAllPendingJobs().size());
    }
}
