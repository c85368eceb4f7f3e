package node

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

const (
	provisioner  = "chart-basico/standin"
	storageClass = "standard"
)

// provisionVolumes gives each claim on the default StorageClass a volume, as a provisioner does. Nothing is stored in
// it: stand-ins write nothing.
func (a *Agent) provisionVolumes(ctx context.Context) error {
	claims := a.informers.Core().V1().PersistentVolumeClaims().Informer()
	volumes := a.informers.Core().V1().PersistentVolumes().Informer()
	provision := func(object any) {
		claim, ok := object.(*corev1.PersistentVolumeClaim)
		if !ok || claim.Status.Phase == corev1.ClaimBound || claim.Spec.VolumeName != "" || claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName != storageClass {
			return
		}
		if err := a.provision(ctx, claim); err != nil && ctx.Err() == nil {
			a.config.Log.Error("no volume for PersistentVolumeClaim/"+claim.Namespace+"/"+claim.Name, "error", err)
		}
	}
	release := func(object any) {
		volume, ok := object.(*corev1.PersistentVolume)
		if !ok || volume.Status.Phase != corev1.VolumeReleased || volume.Spec.StorageClassName != storageClass || volume.DeletionTimestamp != nil {
			return
		}
		err := a.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			a.config.Log.Error("PersistentVolume/"+volume.Name+" was not removed", "error", err)
		}
	}
	if _, err := claims.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: provision, UpdateFunc: func(_, o any) { provision(o) }}); err != nil {
		return err
	}
	if _, err := volumes.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: release, UpdateFunc: func(_, o any) { release(o) }}); err != nil {
		return err
	}
	class := &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: storageClass, Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		Provisioner: provisioner,
	}
	if _, err := a.client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("StorageClass/%s: %w", storageClass, err)
	}
	return nil
}

func (a *Agent) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "pvc-" + string(claim.UID),
			Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": provisioner},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      claim.Spec.Resources.Requests,
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    claim.Spec.VolumeMode,
			StorageClassName:              storageClass,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain, // removed here once released
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: "/nothing/" + string(claim.UID)},
			},
		},
	}
	_, err := a.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
